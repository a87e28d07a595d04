/**
 * What a broker carries: bytes and headers. An event becomes one by the codec of its channel.
 *
 * @since 0.1.0
 */

/**
 * What a header may hold. Brokers that know only bytes (Kafka) carry texts and bytes.
 *
 * @category models
 * @since 0.1.0
 */
export type HeaderValue =
  | null
  | string
  | number
  | boolean
  | Uint8Array
  | ReadonlyArray<HeaderValue>
  | { readonly [name: string]: HeaderValue }

/** @category models @since 0.1.0 */
export type Headers = Readonly<Record<string, HeaderValue>>

/**
 * @category models
 * @since 0.1.0
 */
export interface Message {
  readonly body: Uint8Array
  readonly headers: Headers
  /** Media type of the body. */
  readonly contentType?: string
  /** For operators and for tracing; identity is the event's (source, id). */
  readonly messageId?: string
  /** Messages of one key keep their order on a channel that is ordered by key. */
  readonly key?: string
  /** What else the broker of origin knows (AMQP: correlationId, replyTo, priority, ...), carried along as it is. */
  readonly properties?: Headers
}
