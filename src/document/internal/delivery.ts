import type * as Channel from "../../event/Channel.ts"
import type * as Consumer from "../../event/Consumer.ts"
import type * as Integration from "../../Integration.ts"
import * as Blocks from "./blocks.ts"
import { delaysOf, strategyOf } from "./limits.ts"

const { code, field, given, heading, lines, note, numbered, table, time } = Blocks

const orderings = { Strict: "Strict order", BestEffort: "Best-effort", None: "No ordering" } as const

const scopes = (channel: Channel.Any): Blocks.Line =>
  channel.ordering._tag === "Strict"
    ? ["Per ", code(channel.ordering.path)]
    : channel.ordering._tag === "BestEffort"
      ? "Global"
      : "N/A"

const mechanism = ({ ordering, partitions }: Channel.Any): string => {
  switch (ordering._tag) {
    case "Strict": {
      const queues = partitions === 1 ? "one queue" : `${partitions} queues behind a hash of ${ordering.path}`
      const halted =
        ordering.exhausted === "halt"
          ? "halts its key until an operator resumes it"
          : "is dead-lettered, and its key goes on"
      return `one at a time per key: ${queues}, a single active consumer each; what must be retried is parked with its key; an event that fails for good ${halted}`
    }
    case "BestEffort":
      return "FIFO queue, no strict ordering: several consumers, redelivery and retries may change it"
    case "None":
      return "independent events"
  }
}

/** Section 4.3. */
export const ordering = ({ channels }: Integration.Integration): ReadonlyArray<Blocks.Block> => [
  heading(3, "4.3 Ordering Guarantees"),
  ...(channels.length === 0
    ? [lines("The design has no channels.")]
    : [
        table(
          ["Integration", "Ordering", "Scope", "Notes", "How it is kept"],
          channels.map(({ channel, notes }) => [
            channel.name,
            orderings[channel.ordering._tag],
            scopes(channel),
            given(notes),
            mechanism(channel)
          ])
        )
      ])
]

/** Section 4.4: what each consumer does with an event. */
export const idempotency = ({ channels, consumers }: Integration.Integration): ReadonlyArray<Blocks.Block> => [
  heading(3, "4.4 Idempotency Strategy"),
  ...(consumers.length === 0 ? [lines("The design has no consumers.")] : []),
  ...(consumers.some(({ options }) => options.dedup !== undefined)
    ? [
        note(
          "Events are told apart by source and id, and not by the id alone: CloudEvents makes only both together unique. " +
            "An event is marked only after its handler has succeeded, so a failure loses nothing."
        )
      ]
    : []),
  ...consumers.flatMap((consumer) => strategy(consumer, channels))
]

const strategy = (
  consumer: Consumer.Any,
  channels: Integration.Integration["channels"]
): ReadonlyArray<Blocks.Block> => {
  const { dedup, drain, hold, lease, maxRedeliveries, prefetch, retry, timeout } = consumer.options
  const replay = channels.find(({ channel }) => channel.name === consumer.channel.name)?.replayHorizon
  return [
    heading(4, `Consumer: ${consumer.name}`),
    ...(dedup === undefined
      ? [lines("Without dedup: a redelivered event is handled again, so the handler itself must be idempotent.")]
      : [
          lines("For each consumed event:"),
          numbered(steps[dedup.mode](time(lease))),
          lines(
            field("Mode", modes[dedup.mode]),
            field("Deduplication window", [
              `${time(dedup.window)} (`,
              code("processed_events"),
              " is kept for this duration)"
            ])
          )
        ]),
    lines(
      field("Events replayed are at most", Blocks.givenTime(replay)),
      field(
        "When a handler fails",
        retry === undefined || retry.maxRetries === 0
          ? "no retries: the event goes to the dead letters"
          : [
              `${retry.maxRetries} retries, `,
              code(delaysOf(retry)),
              `, ${strategyOf(retry)}; then the event goes to the dead letters`
            ]
      ),
      field(
        "Limits",
        `handler ${time(timeout)}; in hand at once ${prefetch}; redeliveries without settlement ${maxRedeliveries}; lease ${time(lease)}; drain ${time(drain)}; held in an outage ${time(hold)}`
      )
    )
  ]
}

const modes = {
  transactional:
    "transactional — the mark and the handler's own writes to the same database commit together: effectively once",
  claimed:
    "claimed — a renewed lease keeps two processes from handling one event at once; after a crash it is handled again: at least once"
} as const

const check: Blocks.Line = [
  "Check the ",
  code("processed_events"),
  " table: ",
  code("SELECT 1 WHERE event_source = $1 AND event_id = $2 AND consumer_group = $3")
]
const mark: Blocks.Line = [code("INSERT INTO processed_events (event_source, event_id, consumer_group, processed_at)")]

const steps: {
  readonly [K in keyof typeof modes]: (lease: string) => ReadonlyArray<Blocks.Line>
} = {
  transactional: () => [
    Blocks.joined(["In a transaction: ", check], ""),
    "If found: count a duplicate and ACK (do not reprocess)",
    "If not found: process the event in this transaction",
    Blocks.joined(["On success, in the same transaction: ", mark, ", then commit"], ""),
    "ACK the message"
  ],
  claimed: (lease) => [
    check,
    "If found: count a duplicate and ACK (do not reprocess)",
    `If not found: claim the event under a lease of ${lease}, renewed while the handler runs, and process it`,
    Blocks.joined(["On success, if the lease still is its own: ", mark], ""),
    "ACK the message"
  ]
}
