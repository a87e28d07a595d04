/**
 * A private PostgreSQL on a free loopback port, in a directory of its own.
 *
 * It can be killed and started again with its data. Its user is postgres, without a password.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted, type Scope } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Installed from "./Installed.ts"
import { freePort } from "./Port.ts"
import { isAlive, make as supervise, type Running, ServerUnavailable, untilReady } from "./Supervised.ts"

export interface Options {
  /** Whether commits reach the disk, as in production; only a crash of the machine makes a difference. Default: false. */
  readonly durable?: boolean
  /** Settings of `postgresql.conf`, such as `max_connections`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface Postgres {
  /** The maintenance database. */
  readonly url: string
  readonly port: number
  /** The pid of the postmaster. */
  readonly pid: Effect.Effect<number>
  /** SIGKILL to every process of it; resolves when they are gone. */
  readonly kill: Effect.Effect<void>
  /** A fast stop, which ends open connections; resolves when it is gone. */
  readonly stop: Effect.Effect<void>
  /** Starts it again with the same data and port; resolves when it answers queries. */
  readonly start: Effect.Effect<void, ServerUnavailable>
  /** The URL of a new and empty database. */
  readonly database: (name: string) => Effect.Effect<string, ServerUnavailable>
}

const execute = (url: string, statement: string): Effect.Effect<unknown, ServerUnavailable> =>
  PgClient.make({ url: Redacted.make(url), maxConnections: 1, connectTimeout: "4 seconds" }).pipe(
    Effect.flatMap((sql) => sql.unsafe(statement)),
    Effect.scoped,
    Effect.provide(Layer.fresh(Reactivity.layer)),
    Effect.mapError((error) => new ServerUnavailable({ message: `${statement}: ${error.message}` }))
  )

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Makes an empty database on a server; gives its URL. */
export const createDatabase = (url: string, name: string): Effect.Effect<string, ServerUnavailable> => {
  const created = new URL(url)
  created.pathname = `/${encodeURIComponent(name)}`
  return Effect.as(execute(url, `CREATE DATABASE ${quoted(name)} TEMPLATE template0`), created.href)
}

/** Drops a database, also while it is in use. */
export const dropDatabase = (url: string, name: string): Effect.Effect<void, ServerUnavailable> =>
  Effect.asVoid(execute(url, `DROP DATABASE IF EXISTS ${quoted(name)} WITH (FORCE)`))

/** The processes that a process has started, where the system tells. */
const childrenOf = (pid: number): ReadonlyArray<number> => {
  try {
    return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number)
  } catch {
    return []
  }
}

const untilGone = (pid: number): Effect.Effect<void> =>
  Effect.suspend(() => (isAlive(pid) ? Effect.andThen(Effect.sleep("5 millis"), untilGone(pid)) : Effect.void))

/** A server of its own that answers queries, until the scope closes. */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<Postgres, ServerUnavailable, Scope.Scope> {
  const bin = yield* Installed.folderOf(Installed.postgres)
  // Neither initdb nor postgres runs as root.
  const supervised = yield* supervise("postgres", Installed.otherThanRoot("postgres", "nobody"))
  const port = yield* freePort
  const data = path.join(supervised.directory, "data")
  const env = { PATH: process.env["PATH"], LC_ALL: "C", TZ: "UTC" }
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`

  const initdb = yield* supervised.start({
    command: path.join(bin, "initdb"),
    args: ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
    env
  })
  const { code } = yield* initdb.exit
  if (code !== 0) return yield* new ServerUnavailable({ message: `initdb failed:\n${yield* supervised.tail}` })

  const hasty = { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    ...(options.durable ? undefined : hasty),
    ...options.settings
  }

  const launch = Effect.fnUntraced(function* () {
    const server = yield* supervised.start({
      command: path.join(bin, "postgres"),
      args: [
        "-D",
        data,
        "-p",
        String(port),
        ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
      ],
      env,
      last: "SIGQUIT"
    })
    yield* untilReady("postgres", supervised, server, execute(url, "SELECT 1"))
    return server
  })

  let server: Running = yield* launch()

  const kill = Effect.gen(function* () {
    // The children lead sessions of their own. While one lives, the memory that they share keeps the next start away.
    const children = childrenOf(server.pid)
    yield* server.signal("SIGKILL")
    yield* server.exit
    for (const child of children) if (isAlive(child)) process.kill(child, "SIGKILL")
    yield* Effect.forEach(children, untilGone)
  })

  return {
    url,
    port,
    pid: Effect.sync(() => server.pid),
    kill,
    stop: Effect.suspend(() => Effect.andThen(server.signal("SIGINT"), Effect.asVoid(server.exit))),
    start: Effect.map(launch(), (launched) => {
      server = launched
    }),
    database: (name) => createDatabase(url, name)
  }
})
