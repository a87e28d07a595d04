import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Inspectable, Layer, Redacted, Scope } from "effect"
import { HttpPolicy, StatusTable } from "effect-integration/http"
import { RetryPolicy } from "effect-integration/policy"
import { Alerts, PagerDuty, Rule, Slack } from "effect-integration/monitoring"
import { Reply, StubProvider } from "effect-integration/testing"
import type { HttpClient } from "effect/http"
import { type Seen, watched } from "../http/payments.ts"
import { counts } from "../policy/observe.ts"
import { design, pager, set, slack } from "./alertDesign.ts"
import { eventErrors, messageErrors } from "./alertSchemas.ts"
import { alertOf } from "./alertTexts.ts"

const key = "e93facc04764012d7bfb002500d5d1a6"
const secretPath = "/services/T000/B000/hunter2SECRET"
const ids = { letters: "checkout/dead-letters/billing", stuck: "checkout/saga-stuck/place-order" }
const rules = Rule.of(design())
const letters = rules.find((rule) => rule.condition === "dead letters")!
const stuck = rules.find((rule) => rule.condition === "saga stuck")!

/** As the default policy, and faster; an attempt is given up soon only where it must be. */
const policyOf = (attempt: "80 millis" | "20 seconds") => ({
  retry: RetryPolicy.make({ delays: ["5 millis"] }),
  timeouts: { attempt, total: "20 seconds" } as const
})

/** What PagerDuty makes of events, by dedup key. */
const pagerDuty = () => {
  const open = new Set<string>()
  const incidents: Array<string> = []
  const errors: Array<string> = []
  return {
    open,
    incidents,
    errors,
    take: (given: unknown) => {
      errors.push(...eventErrors(given))
      const { dedup_key, event_action, routing_key } = given as PagerDuty.Event & { readonly routing_key: string }
      if (routing_key !== key) errors.push("another routing key")
      if (event_action === "resolve") open.delete(dedup_key)
      else if (!open.has(dedup_key)) incidents.push(dedup_key)
      if (event_action === "trigger") open.add(dedup_key)
    }
  }
}

const accepted = Reply.json(202, { status: "success", message: "Event processed" })

/** What goes wrong, and whether the message was taken nevertheless. */
const faults: ReadonlyArray<readonly [name: string, taken: boolean, reply: Reply.Reply]> = [
  ["500", false, Reply.status(500)],
  ["500 after it was taken", true, Reply.status(500)],
  ["503 with Retry-After", false, Reply.status(503, { headers: { "retry-after": "0" } })],
  ["429", false, Reply.status(429)],
  ["a reset", false, Reply.reset],
  ["a reset after it was taken", true, Reply.reset],
  ["no answer", false, Reply.hang],
  ["no answer after it was taken", true, Reply.hang],
  ["bytes that are no HTTP", true, Reply.garbage()],
  ["a 403 for a while", false, Reply.text(403, "<html>")],
  ["headers, and a body that never ends", true, Reply.hangInBody(Reply.text(200, "ok, it was taken"))]
]

/** The channels of the design at a stub that does `reply`, and alerts that are fast. */
const running = Effect.fnUntraced(function* (
  reply: (which: "pager" | "slack", body: unknown) => Reply.Reply,
  over: { readonly attempt?: "80 millis"; readonly drain?: number; readonly url?: string } = {}
) {
  const stub = yield* StubProvider.make()
  const { attempt = "20 seconds", drain = 0, url = stub.url } = over
  const policy = policyOf(attempt)
  const answering = (which: "pager" | "slack") =>
    Reply.dynamic((request) => Effect.sync(() => reply(which, request.json)))
  yield* stub.on("POST /v2/enqueue", answering("pager"))
  yield* stub.on("POST /services/T000/B000/hunter2SECRET", answering("slack"))
  const layer = Alerts.layer(design(), {
    channels: {
      [pager]: PagerDuty.channel({ routingKey: Redacted.make(key), endpoint: `${url}/v2/enqueue`, policy }),
      [slack]: Slack.channel({ webhook: Redacted.make(`${url}${secretPath}`), policy })
    },
    backoff: { base: "5 millis", cap: "20 millis" },
    drain
  })
  const scope = yield* Scope.fork(yield* Effect.scope)
  const context = yield* Layer.buildWithScope(layer, scope)
  const alerts = Context.get(context, Alerts.Alerts)
  const change = (rule: Rule.Rule, value: number) => Effect.andThen(set(rule, value), alerts.evaluate)
  /** Waits until everything is told, as long as the test may last. */
  const told: Effect.Effect<void> = Effect.flatMap(alerts.pending, (pending) =>
    Object.values(pending).every((each) => each.length === 0)
      ? Effect.void
      : Effect.andThen(Effect.sleep("2 millis"), told)
  )
  return { alerts, change, close: Scope.close(scope, Exit.void), context, stub, told }
})

const live = (name: string, test: (seen: Seen) => Effect.Effect<void, unknown, HttpClient.HttpClient | Scope.Scope>) =>
  it.live(name, () => watched(test).pipe(Effect.provide(NodeHttpClient.layerUndici), Effect.scoped))

describe("Alerts over HTTP", () => {
  for (const [name, taken, fault] of faults) {
    const hangs = fault._tag === "Hang" ? { attempt: "80 millis" as const } : {}
    live(`no alert is lost and no incident of PagerDuty doubled by ${name}`, () =>
      Effect.gen(function* () {
        const duty = pagerDuty()
        const messages: Array<string> = []
        const nth = { pager: 0, slack: 0 }
        const { change, stub, told } = yield* running((which, body) => {
          // Two of three requests meet the fault.
          const isFault = nth[which]++ % 3 < 2
          if (!isFault || taken) {
            if (which === "pager") duty.take(body)
            else {
              assert.deepStrictEqual(messageErrors(body), [])
              messages.push((body as Slack.Message).text.split(",")[0]!)
            }
          }
          return isFault ? fault : which === "pager" ? accepted : Reply.text(200, "ok")
        }, hangs)
        yield* change(letters, 1)
        yield* told
        yield* change(stuck, 2)
        yield* change(letters, 0)
        yield* told
        yield* change(letters, 1)
        yield* told
        yield* change(stuck, 0)
        yield* told
        assert.deepStrictEqual(duty.errors, [])
        assert.deepStrictEqual(duty.incidents, [ids.letters, ids.stuck, ids.letters])
        assert.deepStrictEqual([...duty.open], [ids.letters])
        const states = new Set(messages.map((text) => /^\[(\w+)\] HIGH ([a-z ]+):/.exec(text)?.slice(1).join(" ")))
        assert.deepStrictEqual([...states].toSorted(), [
          "FIRING dead letters",
          "FIRING saga stuck",
          "RESOLVED dead letters",
          "RESOLVED saga stuck"
        ])
        assert.isAtLeast(messages.length, 5)
        assert.isAtLeast((yield* stub.requests).length, 10)
        const { "alerts_total{delivered}": delivered } = yield* counts("checkout")
        assert.strictEqual(delivered, 10)
      })
    )
  }

  live("an incident that came and went while PagerDuty was down is there, once, and over", () =>
    Effect.gen(function* () {
      const duty = pagerDuty()
      let down = true
      const { change, stub, told } = yield* running((which, body) => {
        if (down) return Reply.status(500)
        if (which === "pager") duty.take(body)
        return accepted
      })
      yield* change(letters, 1)
      yield* change(letters, 0)
      yield* stub.awaitRequests(3, "POST /v2/enqueue")
      assert.deepStrictEqual(duty.incidents, [])
      down = false
      yield* told
      assert.deepStrictEqual(duty.incidents, [ids.letters])
      assert.deepStrictEqual([...duty.open], [])
      const texts = (yield* stub.requestsTo("POST /services/T000/B000/hunter2SECRET")).map(
        (request) => (request.json as Slack.Message).text
      )
      assert.include(texts.at(-1), "[RESOLVED]")
    })
  )

  live("429 with Retry-After is waited out, for all alerts of the channel", () =>
    Effect.gen(function* () {
      let limited = true
      const { change, stub, told } = yield* running((which) => {
        const reply = which === "pager" && limited ? Reply.status(429, { headers: { "retry-after": "1" } }) : accepted
        if (which === "pager") limited = false
        return reply
      })
      yield* change(letters, 1)
      yield* change(stuck, 1)
      yield* told
      const requests = yield* stub.requestsTo("POST /v2/enqueue")
      assert.strictEqual(requests.length, 3)
      assert.isAtLeast(requests[1]!.at - requests[0]!.at, 999)
    })
  )

  live("alerts wait for a server that is not there yet", () =>
    Effect.gen(function* () {
      const first = yield* Scope.make()
      const { port, url } = yield* Scope.provide(StubProvider.make(), first)
      yield* Scope.close(first, Exit.void)
      const { change, told } = yield* running(() => accepted, { url })
      yield* change(letters, 1)
      const refused = Effect.flatMap(counts("checkout"), (found) =>
        Effect.succeed(found["alerts_total{AlertNotDelivered}"] ?? 0)
      )
      const until: Effect.Effect<void> = Effect.flatMap(refused, (count) =>
        count >= 4 ? Effect.void : Effect.andThen(Effect.sleep("2 millis"), until)
      )
      yield* until
      const stub = yield* StubProvider.make({ port })
      yield* stub.on("POST /v2/enqueue", accepted)
      yield* stub.on("POST /services/T000/B000/hunter2SECRET", Reply.text(200, "ok"))
      yield* told
      assert.strictEqual((yield* stub.requests).length, 2)
    })
  )

  live("after a restart what is firing still is sent again, and is the same incident", () =>
    Effect.gen(function* () {
      const duty = pagerDuty()
      const reply = (which: string, body: unknown) => {
        if (which === "pager") duty.take(body)
        return accepted
      }
      for (const _ of [1, 2, 3]) {
        const { change, close, told } = yield* running(reply)
        yield* change(letters, 1)
        yield* told
        yield* close
      }
      assert.deepStrictEqual(duty.incidents, [ids.letters])
      assert.deepStrictEqual([...duty.open], [ids.letters])
    })
  )

  live("what is left at the end is delivered within the time to drain", () =>
    Effect.gen(function* () {
      let requests = 0
      const { change, close, stub } = yield* running(() => (++requests <= 6 ? Reply.status(500) : accepted), {
        drain: 5000
      })
      yield* change(letters, 1)
      yield* close
      const answered = (yield* stub.requests).filter((request) => request.status === 202).map((request) => request.path)
      assert.sameMembers(answered, ["/v2/enqueue", secretPath])
    })
  )

  live("no secret is in a log line, span, metric, error or alert, whatever the other side echoes", (seen) =>
    Effect.gen(function* () {
      const echo = (body: unknown) =>
        JSON.stringify({ message: `${key} ${secretPath}`, errors: [body, key, secretPath] })
      const answers: ReadonlyArray<(body: unknown) => Reply.Reply> = [
        (body) => Reply.text(500, echo(body)),
        (body) => Reply.text(403, echo(body), "application/json"),
        () => Reply.text(404, "hunter2SECRET"),
        () => Reply.status(302, { headers: { location: `http://127.0.0.1:1${secretPath}?k=${key}` } }),
        () => Reply.reset,
        () => Reply.hang,
        () => Reply.status(429, { headers: { "retry-after": key } }),
        (body) => Reply.status(400, { headers: { "x-echo": secretPath }, body: echo(body) })
      ]
      const nth = { pager: 0, slack: 0 }
      const { alerts, change, told } = yield* running((which, body) =>
        answers[nth[which]++ % answers.length]!(body)
      ).pipe(Effect.withSpan("caller"))
      yield* change(letters, 1).pipe(Effect.withSpan("change"))
      yield* told
      assert.isAtLeast(seen.lines.length, 10)
      const failing = [
        PagerDuty.channel({ routingKey: Redacted.make(key), endpoint: "http://127.0.0.1:1/v2", policy: {} }),
        Slack.channel({ webhook: Redacted.make(`http://127.0.0.1:1${secretPath}`), policy: {} })
      ]
      const errors = yield* Effect.forEach(failing, (channel) =>
        Effect.flatMap(channel.connect("x"), (send) => Effect.flip(send({ ...alertOfLetters, ids: [] })))
      )
      const shown = errors.flatMap((error) => [
        String(error),
        JSON.stringify(error),
        Inspectable.toStringUnknown(error),
        Cause.pretty(Cause.fail(error)),
        (error as Error).stack ?? "",
        Inspectable.toStringUnknown((error as Error).cause ?? null)
      ])
      const all = [
        yield* seen.text,
        ...shown,
        Inspectable.toStringUnknown(failing),
        JSON.stringify(yield* alerts.firing)
      ]
      for (const text of all) {
        assert.notInclude(text, "hunter2")
        assert.notInclude(text, key)
        assert.notInclude(text, key.slice(4, 24))
      }
      assert.deepInclude(errors[1], { _tag: "AlertNotDelivered", reason: "unreachable", detail: "ECONNREFUSED" })
    })
  )

  live("a 403 of a contract arrives with its message and request id", () =>
    Effect.gen(function* () {
      const { context, stub, told } = yield* running(() => accepted)
      yield* stub.on("GET /v1/items/42", Reply.json(403, { code: "NOT_YOURS" }))
      const client = yield* HttpPolicy.make("payments", { baseUrl: stub.url, errors: StatusTable.standard })
      yield* Effect.provideContext(Effect.flip(client.get("/v1/items/42")), context)
      const [event] = yield* stub.awaitRequests(1, "POST /v2/enqueue")
      const [call] = yield* stub.requestsTo("GET /v1/items/42")
      yield* told
      const { dedup_key, payload } = event!.json as PagerDuty.Event
      assert.strictEqual(dedup_key, "checkout/engineering/payments/Forbidden")
      assert.deepInclude(payload, { class: "engineering", severity: "error", component: "payments" })
      assert.include(payload!.summary, "GET /v1/items/42 answered 403 FORBIDDEN")
      assert.deepInclude(payload!.custom_details, {
        "Requests and events": call!.headers["x-request-id"]!,
        Error: "Forbidden"
      })
    })
  )
})

const alertOfLetters = alertOf({ id: ids.letters, condition: "dead letters" })
