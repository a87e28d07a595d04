import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as net from "node:net"
import { assertCode, integration, parsed } from "../cli/program.ts"
import { listen } from "../http/server.ts"

const entry = (status: string, rest: object = {}) => ({ componentType: "component", status, ...rest })

const warning = {
  status: "warn",
  description: "health of orders",
  version: "1.2",
  checks: {
    "broker:connection": [entry("pass", { observedValue: "connected" })],
    "dedup-store:responseTime": [entry("pass", { observedValue: 3, observedUnit: "ms" })],
    "payments:circuit": [entry("warn", { observedValue: "open", output: "calls fail\nat once\u001b[2J" })]
  }
}
const failing = {
  ...warning,
  status: "fail",
  checks: { ...warning.checks, "billing:subscription": [entry("fail", { componentId: "orders", output: "gone" })] }
}

/** A service that answers by path, and remembers what it was asked. */
const service = Effect.gen(function* () {
  const seen: Array<{ readonly url: string; readonly authorization: string | undefined }> = []
  const json = (body: unknown, status = 200) =>
    HttpServerResponse.text(JSON.stringify(body), { status, contentType: "application/health+json" })
  const url = yield* listen(
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      seen.push({ url: request.url, authorization: request.headers["authorization"] })
      switch (request.url) {
        case "/health/ready":
          return json(warning)
        case "/health/live":
          return json({ status: "pass" })
        case "/failing":
          return json(failing, 503)
        default:
          return HttpServerResponse.text("<html>hunter2</html>", { status: 404 })
      }
    })
  )
  return { url, seen }
})

/** Takes connections, and says nothing. */
const silent = Effect.acquireRelease(
  Effect.callback<net.Server>((resume) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
)

describe("integration health", { timeout: 60_000 }, () => {
  it.live("prints how a service does, worst first, and ends by its status", () =>
    Effect.gen(function* () {
      const { seen, url } = yield* service
      const warned = yield* integration(["health", url])
      assertCode(warned, 0)
      assert.deepStrictEqual(warned.stdout.split("\n"), [
        "warn  health of orders, version 1.2, 3 checks",
        "  warn  payments:circuit          open       calls fail at once\\u001b[2J",
        "  pass  broker:connection         connected",
        "  pass  dedup-store:responseTime  3 ms",
        ""
      ])
      assertCode(yield* integration(["health", url, "--strict"]), 1)

      const failed = yield* integration(["health", `${url}/failing`])
      assertCode(failed, 1)
      assert.include(failed.stdout, "fail  health of orders")
      assert.match(failed.stdout.split("\n")[1]!, /^ {2}fail {2}billing:subscription \(orders\) .* gone$/)

      assertCode(yield* integration(["health", url, "--live"]), 0)
      assert.deepStrictEqual(
        seen.map((each) => each.url),
        ["/health/ready", "/health/ready", "/failing", "/health/live"]
      )
    })
  )

  it.live("prints JSON for programs, and signs in as the URL says", () =>
    Effect.gen(function* () {
      const { seen, url } = yield* service
      const json = parsed(yield* integration(["health", `${url}/failing`, "--json"]), 1)
      assert.deepStrictEqual(json, failing)
      yield* integration(["health", url.replace("://", "://ada:hunter2%40@")])
      assert.strictEqual(seen.at(-1)!.authorization, `Basic ${Buffer.from("ada:hunter2@").toString("base64")}`)
      yield* integration(["health", url.replace("://", "://ada:100%@")])
      assert.strictEqual(seen.at(-1)!.authorization, `Basic ${Buffer.from("ada:100%").toString("base64")}`)
    })
  )

  it.live("ends with 2 where there is no answer, or none that says how it does", () =>
    Effect.gen(function* () {
      const { url } = yield* service
      const { port } = (yield* silent).address() as net.AddressInfo
      const hanging = `http://127.0.0.1:${port}/hangs`
      const signedIn = url.replace("://", "://ada:hunter2@")
      const cases: ReadonlyArray<[args: ReadonlyArray<string>, message: string]> = [
        [[`${url}/other`], `${url}/other answers with 404 and no application/health+json`],
        [[`${signedIn}/other`], `${url}/other answers with 404 and no application/health+json`],
        [["http://ada:hunter2@127.0.0.1:1"], "http://127.0.0.1:1/health/ready does not answer"],
        [[hanging, "--timeout", "1"], `${hanging} has not answered within 1s`],
        [["localhost"], "localhost is no URL such as http://localhost:8080"],
        [[`${url}/failing`, "--live"], "give the URL without a path, or leave out --live: the path says what is asked"]
      ]
      for (const [args, message] of cases) {
        const ended = yield* integration(["health", ...args, "--json"])
        assert.deepStrictEqual(parsed(ended, 2), { error: { message } })
      }
    })
  )
})
