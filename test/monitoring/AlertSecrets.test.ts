import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, References } from "effect"
import { Consumer, DeadLetters, DedupStore, MemoryBroker } from "effect-integration/event"
import { Alert, Alerts, PagerDuty, Slack, SyntheticProbe } from "effect-integration/monitoring"
import { ErrorAction, Policy } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import * as Secrets from "../../src/internal/secrets.ts"
import { contract } from "../document/parts.ts"
import * as Fixture from "../event/orders.ts"
import { observed } from "../policy/observe.ts"
import { design, pager, settle, slack, taking } from "./alertDesign.ts"
import { alertOf } from "./alertTexts.ts"

const secrets = [
  "hunter2",
  "in-query",
  "as-bearer",
  "cGFzc3dvcmQ",
  "as-password",
  "as-token",
  "in-json",
  "eyJhbGciOiJIUzI1NiJ9"
]

/** What people write into errors. */
const careless = [
  "could not reach amqp://shop:hunter2@broker:5672/orders",
  "GET https://api.acme.com/v1/orders?key=in-query: 500",
  "sent Authorization: Bearer as-bearer and Basic cGFzc3dvcmQ=",
  "connect Host=db;Password=as-password;Port=5432, client_secret: as-token",
  'answered {"access_token":"in-json","code":7} and {\\"apiKey\\":\\"in-json again\\"}',
  "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc was refused"
].join("\n")

const personal = ["ada@acme.com", "Lovelace", "PL61109010140000071219812874"]
const told = 'no account of {"email":"ada@acme.com","name":"Ada \\"L.\\" Lovelace","iban":"PL61109010140000071219812874'

const escalate = ErrorAction.make("fail", { notify: "escalate" })
class Careless extends Error {
  override readonly name = "Careless"
  readonly errorAction = escalate
}

const silent = (text: string, values: ReadonlyArray<string>) => {
  assert.isAbove(text.length, 20)
  for (const value of values) assert.notInclude(text, value)
}

describe("what an error says", () => {
  it.effect("is told without credentials and personal data, by every channel and the log", () =>
    observed((lines) => {
      const one = taking()
      const given = design({ contracts: [contract({ personalData: ["email", "name", "iban"] })] })
      const layer = Alerts.layer(given, { channels: { [pager]: one.channel, [slack]: taking().channel } })
      return Effect.gen(function* () {
        yield* settle
        const error = new Careless(`${careless}\n${told}`)
        const [kind, integration, requestId] = ["alert", "payments", "r-1"] as const
        yield* ErrorAction.notify({ kind, integration, message: error.message, error, requestId })
        yield* settle
        const [alert] = one.sent
        assert.include(alert?.error?.message, "could not reach amqp://broker:5672/orders")
        assert.include(alert?.error?.message, '"code":7')
        const all = [alert, PagerDuty.event(alert!), Slack.message(alert!), Alert.describe(alert!), lines]
        for (const each of all) silent(JSON.stringify(each), [...secrets, ...personal])
      }).pipe(Effect.provide(layer))
    })
  )

  it("who signs in at a dashboard and a runbook was told to PagerDuty and Slack", () => {
    const url = "https://ada:hunter2@acme.com/d/1?var=a"
    const alert = alertOf({ dashboard: url, routes: [{ condition: "dead letters", channels: [], runbook: url }] })
    const all = [PagerDuty.event(alert), Slack.message(alert), Alert.details(alert), Alert.links(alert)]
    for (const each of all) {
      silent(JSON.stringify(each), ["hunter2", "ada"])
      assert.include(JSON.stringify(each), "https://acme.com/d/1?var=a")
    }
  })

  it.effect("of a consumer is without credentials in its log, its notice and its dead letter", () =>
    observed((lines) => {
      const notices: Array<ErrorAction.Notice> = []
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: { "com.acme.order.placed": () => Effect.fail(new Careless(careless)) },
        dedup: { window: "1 day" }
      })
      return Effect.gen(function* () {
        yield* Fixture.start(consumer.layer)
        yield* Fixture.place("o-1")
        yield* Fixture.pass(5)
        const [letter] = yield* DeadLetters.list(consumer)
        assert.include(letter?.error, "Careless: could not reach amqp://broker:5672/orders")
        silent(letter!.error, secrets)
        assert.strictEqual(notices.length, 1)
        silent(notices[0]!.message, secrets)
        assert.isTrue(lines.some(({ message }) => message.includes("could not reach")))
        silent(JSON.stringify(lines), secrets)
      }).pipe(
        Effect.provideService(ErrorAction.AlertHook, (notice) => Effect.sync(() => notices.push(notice))),
        Effect.provide(Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory))
      )
    })
  )

  it.effect("of a call is without credentials in its log and its notice", () =>
    observed((lines) =>
      Effect.gen(function* () {
        const notices: Array<string> = []
        const policy = yield* Policy.make("careless", { classify: ErrorAction.carried })
        yield* Effect.exit(policy.run(Effect.fail(new Careless(careless)), {})).pipe(
          Effect.provideService(ErrorAction.AlertHook, ({ message }) => Effect.sync(() => notices.push(message)))
        )
        yield* settle
        assert.include(notices[0], "could not reach amqp://broker:5672/orders")
        silent(notices[0]!, secrets)
        assert.strictEqual(lines.length, 1)
        silent(JSON.stringify(lines), secrets)
      })
    )
  )

  it.effect("of a probe is without credentials in the log, at every level", () =>
    observed((lines) => {
      const probe = SyntheticProbe.make("careless probe", { jitter: 0, run: Effect.fail(new Careless(careless)) })
      return Effect.gen(function* () {
        yield* Layer.build(probe.layer)
        yield* TestClock.adjust("1 second")
        assert.isTrue(lines.some(({ message }) => message.includes("could not reach")))
        silent(JSON.stringify(lines), secrets)
      }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "All"))
    })
  )

  it("is looked through in a time that does not grow with its square, which would be minutes here", () => {
    for (const piece of ["a.", "a-", '"a', "token", "eyJ", "\\", "://", "?/ "]) {
      assert.notInclude(Secrets.plain(`${piece.repeat(50_000)} Bearer hunter2hunter2`), "hunter2")
    }
  })
})
