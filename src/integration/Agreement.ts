/**
 * What the two sides have agreed upon: parties, contracts, services, channels.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Channel from "../event/Channel.ts"
import type * as HttpContract from "../http/HttpContract.ts"

/** @category models @since 0.1.0 */
export const durabilities = ["memory", "disk", "replicated"] as const

/**
 * One side of the integration.
 *
 * @category models
 * @since 0.1.0
 */
export interface Party {
  readonly system: string
  readonly team?: string
  readonly contact?: string
  /** The service of the system that takes part. Default: the system. */
  readonly service?: string
}

/**
 * A contract, and what its two teams have agreed about it beside the code.
 *
 * @category models
 * @since 0.1.0
 */
export interface Contract {
  readonly contract: HttpContract.Any
  /** Default: from the consumer to the provider. */
  readonly direction?: { readonly from: string; readonly to: string }
  /** How credentials are changed, and how that is coordinated. */
  readonly rotation?: { readonly every: Duration.Input; readonly process: string }
  /** Shown where the contract's own are read from the configuration. */
  readonly baseUrl?: string
  readonly tokenEndpoint?: string
  /** Names of the consumers and sagas of this design that call it. Default: all of them. */
  readonly callers?: ReadonlyArray<string>
  /** How long whoever asks the consumer for something waits for the answer that needs this call. */
  readonly callerBudget?: Duration.Input
  /** How long the provider remembers an idempotency key. */
  readonly keyRetention?: Duration.Input
}

/**
 * A gRPC service that takes part (section 3.2), as its proto file says it. It is agreed upon, and called by code of your
 * own.
 *
 * @category models
 * @since 0.1.0
 */
export interface GrpcService {
  /** Of the integration, as a contract has one. */
  readonly name: string
  /** The service of the proto file. */
  readonly service: string
  /** Default: from the consumer to the provider. */
  readonly direction?: { readonly from: string; readonly to: string }
  readonly methods: ReadonlyArray<{
    readonly name: string
    readonly request: string
    readonly response: string
    /** Whether the response is a stream. Default: one message. */
    readonly streams?: boolean
  }>
  /** The fields of each message, numbered from 1 in their order. */
  readonly messages: Readonly<Record<string, ReadonlyArray<{ readonly name: string; readonly type: string }>>>
}

/**
 * A channel, and who publishes on it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Topic {
  readonly channel: Channel.Any
  readonly producer?: string
  /** About its ordering. */
  readonly notes?: string
  /**
   * What its events outlast: `memory` the end of no broker, `disk` a restart of the broker, `replicated` also the loss of
   * one of its machines. Default: `replicated`, as quorum queues are; not known of an existing queue.
   */
  readonly durability?: (typeof durabilities)[number]
  /** How old an event may be that is replayed. Default: as long as dead letters are kept. */
  readonly replayHorizon?: Duration.Input
  /** How many events are published at the busiest time. */
  readonly eventsPerMinute?: number
  /** How many processes of each consumer share the work, at most. */
  readonly processes?: number
}
