import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Exit, Redacted } from "effect"
import { Slack } from "effect-integration/monitoring"
import { ErrorAction } from "effect-integration/policy"
import { withFake } from "../http/payments.ts"
import { messageErrors } from "./alertSchemas.ts"
import { alertOf, full, hostile } from "./alertTexts.ts"

const webhook = "https://hooks.slack.com/services/T000/B000/hunter2SECRET"
const json = (message: Slack.Message) => JSON.parse(JSON.stringify(message))

describe("Slack", () => {
  it("lays out what is known", () => {
    const message = Slack.message(alertOf({ error: { tag: "Forbidden", message: "answered 403 <no>" }, ids: ["r-1"] }))
    assert.deepStrictEqual(messageErrors(json(message)), [])
    const [header, section, first, second, links] = message.blocks
    assert.deepStrictEqual(header, {
      type: "header",
      text: { type: "plain_text", text: "🔴 [FIRING] HIGH error rate: payments", emoji: false }
    })
    assert.deepStrictEqual(section, {
      type: "section",
      text: {
        type: "mrkdwn",
        text: "more than 5 % of the calls to payments fail\n>>> answered 403 &lt;no&gt;",
        verbatim: true
      }
    })
    const fields = [first, second].flatMap((block) =>
      block?.type === "section" && "fields" in block ? block.fields.map((field) => field.text) : []
    )
    assert.deepStrictEqual(fields, [
      "*Integration*\ncheckout",
      "*Subject*\npayments",
      "*Condition*\nerror rate",
      "*Severity*\nhigh",
      "*Since*\n2026-11-23T10:00:00.000Z",
      "*Value*\n12.5 %",
      "*Limit*\nabove 5 % for 5m",
      "*Error*\nForbidden",
      "*Occurrences*\n1",
      "*Requests and events*\nr-1",
      "*Escalation*\non-call engineer",
      "*Investigate within*\n15m",
      "*Metric*\nintegration_payments_error_rate"
    ])
    assert.deepStrictEqual(links, {
      type: "context",
      elements: [
        { type: "mrkdwn", text: "<https://runbooks.acme.com/checkout|Runbook>", verbatim: true },
        { type: "mrkdwn", text: "<https://grafana.acme.com/d/checkout?var=a&amp;b=c|Dashboard>", verbatim: true }
      ]
    })
  })

  it("shows what is over, and a runbook that is no URL as it is", () => {
    const message = Slack.message(
      alertOf({ state: "resolved", routes: [{ condition: "latency", channels: ["x"], runbook: "wiki: payments" }] })
    )
    assert.deepStrictEqual(messageErrors(json(message)), [])
    assert.include(message.text, "[RESOLVED] HIGH error rate: payments")
    assert.include(JSON.stringify(message.blocks[0]), "✅ [RESOLVED]")
    assert.include(JSON.stringify(message.blocks), "*Runbook*\\nwiki: payments")
  })

  for (const [name, text] of hostile) {
    it(`is a valid message, whatever the texts are: ${name}`, () => {
      for (const state of ["firing", "resolved"] as const) {
        const sent = JSON.stringify(Slack.message({ ...full(text), state }))
        assert.deepStrictEqual(messageErrors(JSON.parse(sent)), [])
        assert.notInclude(sent, "<!")
        assert.notInclude(sent, "<@")
        assert.notMatch(sent, /\\ud[89a-f]/i, "no half of a surrogate pair is sent")
        assert.notMatch(sent, /&(?!amp;|lt;|gt;)/, "no escape is cut in two")
      }
    })
  }

  it("a text that fits exactly is not cut", () => {
    const exact = "&".repeat(299) // five characters each when escaped: 1495 of the 1500 for a message
    const said = (message: string) => {
      const block = Slack.message(alertOf({ error: { tag: "E", message } })).blocks[1]
      return block?.type === "section" && "text" in block ? block.text.text.split(">>> ")[1]! : ""
    }
    assert.strictEqual(said(exact), "&amp;".repeat(299))
    assert.strictEqual(said(`${exact}${exact}`), `${"&amp;".repeat(299)}…`)
  })

  it.effect("posts JSON to the webhook; a word of Slack is told, a page is not", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const bodies: Array<unknown> = []
      const answers = [
        new Response("ok"),
        new Response("invalid_payload", { status: 400 }),
        new Response("<html>", { status: 404 })
      ]
      const outcome = yield* Effect.gen(function* () {
        const send = yield* Slack.channel({ webhook: Config.Redacted("HOOK"), policy: {} }).connect("Slack #a")
        return yield* Effect.forEach([1, 2, 3], () => Effect.result(send(alertOf())))
      }).pipe(
        withFake(async (request) => {
          seen.push(`${request.method} ${request.url}`)
          bodies.push(await request.json())
          return answers[seen.length - 1]!
        }),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ HOOK: webhook }))
      )
      assert.deepStrictEqual(seen, [`POST ${webhook}`, `POST ${webhook}`, `POST ${webhook}`])
      for (const body of bodies) assert.deepStrictEqual(messageErrors(body), [])
      assert.deepStrictEqual(
        outcome.map((each) => (each._tag === "Success" ? "ok" : (each.failure as Error).message)),
        [
          "ok",
          "Slack #a: the alert was not delivered: rejected (400): invalid_payload",
          "Slack #a: the alert was not delivered: refused (404)"
        ]
      )
    })
  )

  it.effect("a Retry-After is obeyed for 15 minutes at most, and one that is none is left out", () =>
    Effect.gen(function* () {
      const given = ["30", "31536000", "Fri, 31 Dec 9999 23:59:59 GMT", "soon", "-1"]
      let nth = 0
      const waits = yield* Effect.gen(function* () {
        const send = yield* Slack.channel({ webhook: Redacted.make(webhook), policy: {} }).connect("Slack #a")
        return yield* Effect.forEach(given, () => Effect.flip(send(alertOf())))
      }).pipe(
        withFake(async () => new Response("", { status: 429, headers: { "retry-after": given[nth++]! } })),
        Effect.map((errors) => errors.map(ErrorAction.retryAfterMillis))
      )
      assert.deepStrictEqual(waits, [30_000, 900_000, 900_000, undefined, undefined])
    })
  )

  it.effect("a webhook that is none is an error that does not tell it", () =>
    Effect.gen(function* () {
      const exit = yield* Slack.channel({ webhook: Config.Redacted("HOOK") })
        .connect("Slack #a")
        .pipe(
          withFake(() => new Response()),
          Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ HOOK: "hooks/SECRET" })),
          Effect.exit
        )
      assert.isTrue(Exit.isFailure(exit))
      assert.notInclude(String(exit), "SECRET")
      assert.throws(() => Slack.channel({ webhook: Redacted.make("hooks/SECRET") }), /webhook must be .*<redacted>/)
    })
  )
})
