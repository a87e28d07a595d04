/**
 * A private Prometheus on a free loopback port, in a directory of its own, and its tools.
 *
 * It scrapes often, but for its first five seconds, in which it looks for targets. It ends with the scope, also when the
 * test process is killed.
 */
import { Effect, type Scope } from "effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { describe } from "vitest"
import * as Installed from "./Installed.ts"
import { freePort } from "./Port.ts"
import { make as supervise, ServerUnavailable, untilReady } from "./Supervised.ts"

const folderWith = (binary: string) => (): string | undefined =>
  [...(process.env["PATH"] ?? "").split(path.delimiter), "/usr/bin", "/opt/homebrew/bin", "/usr/local/bin"].find(
    (folder) => folder !== "" && fs.existsSync(path.join(folder, binary))
  )

export const prometheus: Installed.Package = { name: "prometheus", port: 9090, find: folderWith("promtool") }
export const alertmanager: Installed.Package = {
  name: "prometheus-alertmanager",
  port: 9093,
  find: folderWith("amtool")
}

type Suite = (name: string, tests: () => void) => void

const suite = (wanted: Installed.Package): Suite => {
  if (wanted.find() !== undefined || Installed.canInstall() || process.env["CI"] === "true") return describe
  console.warn(`\nSKIPPED: the tests that need ${wanted.name}. It is not installed: install it\n`)
  return describe.skip
}

/** A suite that needs Prometheus or promtool. */
export const describePrometheus = suite(prometheus)

/** A suite that needs amtool. */
export const describeAlertmanager = suite(alertmanager)

/** JSON is YAML, but for what YAML takes for the end of a line or for no character. */
export const jsonAsYaml = (value: unknown): string =>
  JSON.stringify(value).replaceAll(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

export interface Ended {
  readonly code: number
  readonly stdout: string
  /** With what went to standard error. */
  readonly output: string
}

/** Runs a tool of a package with files, whose names among the arguments are made those of a folder that goes afterwards. */
const tool =
  (wanted: Installed.Package, command: string) =>
  (
    args: ReadonlyArray<string>,
    given: { readonly files?: Readonly<Record<string, string>>; readonly input?: string } = {}
  ): Effect.Effect<Ended, ServerUnavailable> =>
    Effect.gen(function* () {
      const bin = yield* Installed.folderOf(wanted)
      const cwd = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), `${command}-`))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
      )
      for (const [name, text] of Object.entries(given.files ?? {})) fs.writeFileSync(path.join(cwd, name), text)
      return yield* Effect.callback<Ended>((resume) => {
        const child = childProcess.execFile(
          path.join(bin, command),
          args,
          { cwd, maxBuffer: 1 << 26 },
          (error, stdout, stderr) =>
            resume(
              Effect.succeed({
                code: error === null ? 0 : Number(error.code ?? -1),
                stdout,
                output: stdout + stderr
              })
            )
        )
        child.stdin?.end(given.input ?? "")
        return Effect.sync(() => void child.kill())
      })
    }).pipe(Effect.scoped)

/** Checks and tests of Prometheus: `check rules`, `test rules`, `check metrics`. */
export const promtool = tool(prometheus, "promtool")

/** Checks of Alertmanager: `check-config`, `config routes test`. */
export const amtool = tool(alertmanager, "amtool")

export interface Options {
  /** `host:port` of what is scraped at `/metrics`. */
  readonly targets: ReadonlyArray<string>
  /** Default: 100 milliseconds. */
  readonly scrapeInterval?: string
  /** A file of rules. */
  readonly rules?: string
}

export interface Prometheus {
  readonly url: string
  readonly pid: number
  /** What its API answers, such as `query?query=up`: the `data` of it. */
  readonly api: (request: string) => Effect.Effect<any, ServerUnavailable>
  /** The samples of an instant query, by their labels. */
  readonly query: (expression: string) => Effect.Effect<ReadonlyArray<Sample>, ServerUnavailable>
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A server of its own that answers queries, until the scope closes. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Prometheus, ServerUnavailable, Scope.Scope> {
  const bin = yield* Installed.folderOf(prometheus)
  const supervised = yield* supervise("prometheus")
  const port = yield* freePort
  const { directory } = supervised
  const interval = options.scrapeInterval ?? "100ms"
  // JSON is YAML.
  const config = {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    scrape_configs: [{ job_name: "integration", static_configs: [{ targets: options.targets }] }],
    ...(options.rules === undefined ? undefined : { rule_files: ["rules.yml"] })
  }
  fs.writeFileSync(path.join(directory, "prometheus.yml"), JSON.stringify(config))
  if (options.rules !== undefined) fs.writeFileSync(path.join(directory, "rules.yml"), options.rules)
  const url = `http://127.0.0.1:${port}`
  const server = yield* supervised.start({
    command: path.join(bin, "prometheus"),
    args: [
      "--config.file=prometheus.yml",
      "--storage.tsdb.path=data",
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=warn"
    ],
    // Nothing of it is kept.
    last: "SIGKILL"
  })
  const get = (request: string): Effect.Effect<string, ServerUnavailable> =>
    Effect.tryPromise({
      try: async (signal) => {
        const response = await fetch(`${url}${request}`, { signal })
        const text = await response.text()
        if (!response.ok) throw new Error(`${response.status} ${text}`)
        return text
      },
      catch: (error) => new ServerUnavailable({ message: `${request}: ${String(error)}` })
    })
  yield* untilReady("prometheus", supervised, server, get("/-/ready"))
  const api = (request: string) => Effect.map(get(`/api/v1/${request}`), (text) => JSON.parse(text).data)
  return {
    url,
    pid: server.pid,
    api,
    query: (expression) =>
      Effect.map(api(`query?query=${encodeURIComponent(expression)}`), ({ result }) =>
        result.map(({ metric, value }: { metric: Record<string, string>; value: [number, string] }) => ({
          labels: metric,
          value: Number(value[1])
        }))
      )
  }
})
