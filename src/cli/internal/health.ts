import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as HealthReport from "../../monitoring/HealthReport.ts"
import { Ended, Failure, reporting } from "./failure.ts"
import { json } from "./options.ts"
import { counted, oneLine, print, printJson } from "./output.ts"

interface Asked {
  readonly url: URL
  readonly user: string
  readonly password: string
}

/** Where to ask: the route of this library, where the URL names none. */
const askedOf = (text: string, live: boolean): Asked | Failure => {
  const given = URL.canParse(text) ? new URL(text) : undefined
  if (given === undefined || !/^https?:$/.test(given.protocol)) {
    return new Failure({ message: `${text} is no URL such as http://localhost:8080` })
  }
  const named = given.pathname !== "/"
  if (named && live) {
    return new Failure({ message: "give the URL without a path, or leave out --live: the path says what is asked" })
  }
  const url = new URL(given)
  if (!named) url.pathname = live ? "/health/live" : "/health/ready"
  const [user, password] = [decoded(url.username), decoded(url.password)]
  url.username = url.password = ""
  return { url, user, password }
}

/** A percent sign that encodes nothing is itself. */
const decoded = (text: string): string =>
  Result.getOrElse(
    Result.try(() => decodeURIComponent(text)),
    () => text
  )

/** The report that a service answers with, whatever its status code. */
const ask = Effect.fnUntraced(function* ({ password, url, user }: Asked, limit: Duration.Duration) {
  const plain = HttpClientRequest.get(url, { headers: { accept: `${HealthReport.mediaType}, application/json` } })
  const request = user === "" && password === "" ? plain : HttpClientRequest.basicAuth(plain, user, password)
  const { status, text } = yield* HttpClient.execute(request).pipe(
    Effect.flatMap((response) => Effect.map(response.text, (text) => ({ status: response.status, text }))),
    Effect.mapError(() => new Failure({ message: `${url.href} does not answer` })),
    Effect.timeoutOrElse({
      duration: limit,
      orElse: () =>
        Effect.fail(new Failure({ message: `${url.href} has not answered within ${Duration.format(limit)}` }))
    })
  )
  return yield* Effect.mapError(
    decode(text),
    () => new Failure({ message: `${url.href} answers with ${status} and no ${HealthReport.mediaType}` })
  )
})

const fromText = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Unknown))
const decode = (text: string) => Effect.flatMap(fromText(text), HealthReport.decode)

type Cells = readonly [status: string, key: string, value: string, output: string]

const rowOf = (key: string, entry: HealthReport.Entry): Cells => {
  const { componentId, observedUnit, observedValue, output = "", status = "pass" } = entry
  const value =
    observedValue === undefined ? "" : typeof observedValue === "string" ? observedValue : JSON.stringify(observedValue)
  const measured = [value, observedUnit].filter((each) => each !== undefined && each !== "").join(" ")
  return [status, componentId === undefined ? key : `${key} (${componentId})`, measured, output]
}

const linesOf = (
  url: URL,
  { checks, description, output, status, version }: HealthReport.Report
): ReadonlyArray<string> => {
  const rows = Object.entries(checks)
    .flatMap(([key, entries]) => entries.map((entry) => rowOf(key, entry).map(oneLine)))
    .toSorted((a, b) => rank(b[0]!) - rank(a[0]!))
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)))
  const said = [description ?? url.href, ...(version === undefined ? [] : [`version ${version}`])]
  const why = rows.length > 0 || output === undefined ? "" : `: ${output}`
  return [
    `${status}  ${oneLine([...said, counted(rows.length, "check")].join(", ") + why)}`,
    ...rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd())
  ]
}

const rank = (status: string): number => HealthReport.statuses.findIndex((each) => each === status)

/** `integration health`. */
export const health = Command.make(
  "health",
  {
    url: Argument.String("url").pipe(
      Argument.withDescription("Of the service, or of its route. Without a path: /health/ready")
    ),
    live: Flag.Boolean("live").pipe(
      Flag.withDescription("Ask whether the process lives (/health/live), not whether it does its work"),
      Flag.withDefault(false)
    ),
    strict: Flag.Boolean("strict").pipe(Flag.withDescription("End with 1 for warnings, too"), Flag.withDefault(false)),
    timeout: Flag.Int("timeout").pipe(
      Flag.withMetavar("SECONDS"),
      Flag.withDescription("How long it may take to answer"),
      Flag.withSchema(Schema.Int.check(Schema.isGreaterThan(0))),
      Flag.withDefault(5)
    ),
    json
  },
  ({ json, live, strict, timeout, url }) =>
    Effect.gen(function* () {
      const asked = askedOf(url, live)
      if (asked instanceof Failure) return yield* asked
      const report = yield* ask(asked, Duration.seconds(timeout)).pipe(Effect.provide(FetchHttpClient.layer))
      yield* json ? printJson(report) : print(linesOf(asked.url, report).join("\n"))
      const isBad = report.status === "fail" || (strict && report.status === "warn")
      if (isBad) return yield* new Ended({ code: 1 })
    }).pipe(reporting(json))
).pipe(
  Command.withDescription(
    "Asks a running integration how it does, worst first. Ends with 1 where it does not do its work, with 2 where it does not answer"
  ),
  Command.withShortDescription("Asks a running integration how it does"),
  Command.withExamples([
    { command: "integration health http://localhost:8080", description: "Whether it is ready, and why not" },
    { command: "integration health https://orders.acme.com/readyz --strict --json", description: "For a script" }
  ])
)
