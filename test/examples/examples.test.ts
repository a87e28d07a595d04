import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { root } from "../house/Sources.ts"
import { assertSays, run } from "./child.ts"

/** What each example must say, in this order. */
const says: Readonly<Record<string, ReadonlyArray<string>>> = {
  "01_one_call.ts": [
    "answered 503",
    "lost the connection",
    "read timeout",
    "charged c1: 4 attempts, 1 idempotency key"
  ],
  "02_plain_client.ts": ["answered 500", "answered 429", "(waited as told)", "no unicorns: 404 NO_SUCH_ITEM"],
  "03_breaker.ts": [
    "printed\nprinted\nout of paper",
    "Closed -> Open (threshold)",
    "not even tried",
    "Open -> HalfOpen (probe admitted)",
    "printed",
    "HalfOpen -> Closed (probe succeeded)"
  ],
  "04_retry.ts": [
    "overloaded twice: paid, attempts: 3",
    "never well: Overloaded, attempts: 4",
    "declined: CardDeclined, attempts: 1",
    "asked to wait: paid, attempts: 2",
    "waited as told: true"
  ],
  "05_swap_the_layer.ts": ["both tests passed"],
  "06_rate_limit.ts": [
    "at once, at once, at once, a second later, a second later, a second later",
    "burst is reached: RateLimitExceeded",
    "told without waiting",
    "perMinute: 2 of 8 left in 60 s"
  ],
  "07_kill_switch.ts": ["sent", "1 circuit opened", "forced: ", "sent", "there are: newsletter"],
  "08_consumer.ts": [
    "goes to the dead letters (rejected, attempt 1)",
    "tried again in 100 ms (attempt 1)",
    "tried again in 300 ms (attempt 2)",
    "mails to grace and ada",
    "dead: o-2, rejected after attempt 1: NoSuchAddress"
  ],
  "09_publisher.ts": [
    "published com.acme.order.placed e-1 of https://acme.com/orders",
    "full: message e-3 to orders: refused",
    "nobody: message e-4 to drafts: unroutable",
    "invalid: not a valid event: data.cents",
    "billed 4200 for event e-1, request req-7",
    "billed 100 for event e-2"
  ],
  "10_ordered_consumer.ts": [", lamp 1, lamp 2, lamp 3\n", "each item in order, and nobody waited for the lamp"],
  "11_transactional_dedup.ts": ["o-1 in attempt 2", "o-2 in attempt 1", "rows: o-1 o-2\n"],
  "12_dead_letter_replay.ts": [
    "o-2 is dead (rejected): UnknownCountry: NO",
    "o-4 is dead (rejected): UnknownCountry: XX",
    "a replay would bring o-2, o-5; processed meanwhile: 0",
    "shipped: o-1, o-3, o-2, o-5",
    "purged: o-4, left: 0"
  ],
  "14_outbox.ts": [
    "o-1: committed\no-2: committed\no-2: rolled back\no-3: committed\norders: 3 to be published\n",
    "shipped: o-1 of ada, o-2 of ada, o-3 of ada\n"
  ],
  "15_inbox_outbox.ts": ["mailed: 1, 2\ninvoices: 1, 2\n"],
  "16_saga.ts": [
    "run charge: Busy (attempt 1, next in 100 ms)",
    "charge for r-chair\n  ship\n  Completed\n",
    "release if reserved\n  RolledBack at reserve: OutOfStock\n",
    "refund\n  release r-table\n  RolledBack at ship: NoCourier\n"
  ],
  "17_durable_saga.ts": [
    "check l-1 (saga/grant-loan/",
    "/run/check/score/0)\nthe engine has ended; ",
    "another one starts\npay out 5000 (score 750, by grace)\nCompleted true\n"
  ],
  "18_stuck_saga.ts": [
    "is stuck: the compensation of step debit failed for good: BankDown (correct the cause, then resume, skip or abandon",
    "Stuck in compensate debit: BankDown\n",
    "compensate debit 3: BankDown\n",
    "debit given back\nRolledBack credit, debit\n"
  ]
}

/** Those that do nothing without a server: `examples.integration.test.ts` runs them. */
const needServers = ["13_rabbitmq.ts"]

describe("the numbered examples", { timeout: 60_000 }, () => {
  it("are all known here, and are short", () => {
    const folder = path.join(root, "examples")
    const found = fs.readdirSync(folder).filter((file) => file.endsWith(".ts"))
    assert.deepStrictEqual(found.toSorted(), [...Object.keys(says), ...needServers].toSorted())
    for (const file of found) {
      const lines = fs.readFileSync(path.join(folder, file), "utf8").split("\n").length
      assert.isBelow(lines, 60, file)
    }
  })

  for (const [file, expected] of Object.entries(says)) {
    it.live(`${file} runs and says what it should`, () =>
      Effect.gen(function* () {
        assertSays(yield* run(`examples/${file}`), expected)
      })
    )
  }
})
