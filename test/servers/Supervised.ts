/**
 * Processes that end with the test, whatever becomes of the test process.
 *
 * A supervisor process starts them and holds a pipe from the test process. When the scope closes, or the test process is
 * killed with -9, the pipe closes too: the supervisor ends each process by its own pid and removes the directory.
 */
import { type Cause, Deferred, Effect, Queue, Schedule, Schema, type Scope } from "effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as readline from "node:readline"
import type { Command, Event } from "./supervisor.ts"

/** A server cannot be had here; the message says why, and what to install. */
export class ServerUnavailable extends Schema.TaggedError<ServerUnavailable>()("ServerUnavailable", {
  message: Schema.String
}) {}

/** The user a server runs as, where it may not run as this one. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

export interface Program {
  readonly command: string
  readonly args?: ReadonlyArray<string>
  /** The whole environment. Default: that of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Default: the directory. */
  readonly cwd?: string
  /** Whether `lines` gets the standard output, instead of the log. */
  readonly lines?: boolean
  /** The signal that ends it with the scope. Default: SIGTERM, and SIGKILL five seconds later. */
  readonly last?: NodeJS.Signals
}

export interface Exit {
  readonly code: number | null
  readonly signal: string | null
}

export interface Running {
  readonly pid: number
  /** Waits until it has ended and is reaped. */
  readonly exit: Effect.Effect<Exit>
  readonly isRunning: Effect.Effect<boolean>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** A line on its standard input. */
  readonly write: (line: string) => Effect.Effect<void>
  /** Ends when it has ended, after its last line. */
  readonly lines: Queue.Dequeue<string, Cause.Done>
}

export interface Supervised {
  /** A directory of its own, removed at the end. */
  readonly directory: string
  readonly supervisor: number
  readonly start: (program: Program) => Effect.Effect<Running, ServerUnavailable>
  /** The end of what the programs have written. */
  readonly tail: Effect.Effect<string>
}

interface Entry {
  readonly started: Deferred.Deferred<number, ServerUnavailable>
  readonly exited: Deferred.Deferred<Exit>
  readonly lines: Queue.Queue<string, Cause.Done>
}

const everyTenth = Schedule.spaced("100 millis")

const script = path.join(import.meta.dirname, "supervisor.ts")

/** A supervisor of its own, until the scope closes; `name` begins the name of its directory. */
export const make = Effect.fnUntraced(function* (
  name: string,
  owner?: Owner
): Effect.fn.Return<Supervised, ServerUnavailable, Scope.Scope> {
  const entries = new Map<number, Entry>()
  const ready = Deferred.makeUnsafe<string, ServerUnavailable>()
  const ended = Deferred.makeUnsafe<void>()

  const heard = (event: Event): void => {
    if (event._tag === "Ready") return void Deferred.doneUnsafe(ready, Effect.succeed(event.directory))
    const entry = entries.get(event.id)
    if (entry === undefined) return
    if (event._tag === "Started") Deferred.doneUnsafe(entry.started, Effect.succeed(event.pid))
    if (event._tag === "Failed") Deferred.doneUnsafe(entry.started, new ServerUnavailable({ message: event.message }))
    if (event._tag === "Line") Queue.offerUnsafe(entry.lines, event.line)
    if (event._tag === "Exited") {
      Queue.endUnsafe(entry.lines)
      Deferred.doneUnsafe(entry.exited, Effect.succeed({ code: event.code, signal: event.signal }))
    }
  }

  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const args = owner === undefined ? [name] : [name, String(owner.uid), String(owner.gid)]
      // In a session of its own, so that an interrupt from the terminal does not reach it before its servers are ended.
      const child = childProcess.spawn(process.execPath, [script, ...args], {
        detached: true,
        stdio: ["pipe", "pipe", "inherit"]
      })
      child.stdin.on("error", () => {})
      readline.createInterface({ input: child.stdout }).on("line", (line) => heard(JSON.parse(line)))
      const gone = () => {
        const message = `the supervisor of ${name} has ended`
        Deferred.doneUnsafe(ready, new ServerUnavailable({ message }))
        for (const entry of entries.values()) Deferred.doneUnsafe(entry.started, new ServerUnavailable({ message }))
        Deferred.doneUnsafe(ended, Effect.void)
      }
      child.on("error", gone)
      child.on("exit", gone)
      return child
    }),
    (child) =>
      Effect.andThen(
        Effect.sync(() => child.stdin.end()),
        Deferred.await(ended)
      )
  )

  const tell = (command: Command): void => void child.stdin.write(`${JSON.stringify(command)}\n`)

  const directory = yield* Deferred.await(ready)

  const start = Effect.fnUntraced(function* (program: Program) {
    const id = entries.size
    const entry: Entry = {
      started: Deferred.makeUnsafe(),
      exited: Deferred.makeUnsafe(),
      lines: yield* Queue.unbounded<string, Cause.Done>()
    }
    entries.set(id, entry)
    tell({
      _tag: "Start",
      id,
      command: program.command,
      args: program.args ?? [],
      env: (program.env ?? process.env) as Record<string, string>,
      cwd: program.cwd ?? directory,
      uid: owner?.uid,
      gid: owner?.gid,
      lines: program.lines ?? false,
      last: program.last ?? "SIGTERM"
    })
    const pid = yield* Deferred.await(entry.started)
    const running: Running = {
      pid,
      exit: Deferred.await(entry.exited),
      isRunning: Effect.sync(() => !Deferred.isDoneUnsafe(entry.exited)),
      signal: (signal) => Effect.sync(() => tell({ _tag: "Signal", id, signal })),
      write: (line) => Effect.sync(() => tell({ _tag: "Write", id, line })),
      lines: entry.lines
    }
    return running
  })

  const tail = Effect.sync(() => fs.readFileSync(path.join(directory, "log"), "utf8").slice(-4_000))

  return { directory, supervisor: child.pid!, start, tail }
})

/** Waits until the server is ready; fails with the end of its log when it ends before, or is not ready in time. */
export const untilReady = Effect.fnUntraced(function* <E>(
  name: string,
  supervised: Supervised,
  running: Running,
  probe: Effect.Effect<unknown, E>
) {
  const failed = (what: string) =>
    Effect.flatMap(supervised.tail, (tail) =>
      Effect.fail(new ServerUnavailable({ message: `${name} ${what}. The end of its log:\n${tail}` }))
    )
  const probed = Effect.retry(Effect.timeout(probe, "5 seconds"), { schedule: everyTenth })
  const ended = Effect.flatMap(running.exit, ({ code, signal }) => failed(`ended with ${code ?? signal}`))
  yield* probed.pipe(
    Effect.timeoutOrElse({ duration: "60 seconds", orElse: () => failed("is not ready after 60 s") }),
    Effect.raceFirst(ended),
    Effect.mapError((error) =>
      error instanceof ServerUnavailable ? error : new ServerUnavailable({ message: `${name}: ${String(error)}` })
    )
  )
})

/** Whether a process exists, ended ones that nobody has waited for aside. */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  try {
    return !/\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, "latin1"))
  } catch {
    return !fs.existsSync("/proc/self/stat")
  }
}
