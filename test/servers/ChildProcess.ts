/**
 * A TypeScript program of the tests as a process of its own, to be killed, stopped and continued.
 *
 * The program talks in lines of JSON: `console.log(JSON.stringify(message))`. It ends with the scope, and with the test
 * process also when that is killed with -9 or the program is stopped: a supervisor holds the pipe between them.
 */
import { Effect, Queue, type Scope } from "effect"
import * as path from "node:path"
import { root } from "../house/Sources.ts"
import { type Exit, make as supervise, type ServerUnavailable } from "./Supervised.ts"

export interface Options {
  readonly args?: ReadonlyArray<string>
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>
}

export interface ChildProcess {
  readonly pid: number
  /** The next line of standard output, from JSON. Dies with what the program wrote when it ends before. */
  readonly next: Effect.Effect<unknown>
  /** The next message that `is` accepts; those before are dropped. */
  readonly nextWhere: <A>(is: (message: unknown) => message is A) => Effect.Effect<A>
  /** A line of JSON on its standard input. */
  readonly send: (message: unknown) => Effect.Effect<void>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Waits until it has ended. */
  readonly exit: Effect.Effect<Exit>
  /** The end of its standard error. */
  readonly stderr: Effect.Effect<string>
}

/** Runs a program, named from the root of the repository, until it ends or the scope closes. */
export const make = Effect.fnUntraced(function* (
  file: string,
  options: Options = {}
): Effect.fn.Return<ChildProcess, ServerUnavailable, Scope.Scope> {
  const supervised = yield* supervise("child")
  const child = yield* supervised.start({
    command: process.execPath,
    args: [path.resolve(root, file), ...(options.args ?? [])],
    env: { ...process.env, ...options.env },
    cwd: root,
    lines: true,
    last: "SIGKILL"
  })

  const ended = Effect.gen(function* () {
    const { code, signal } = yield* child.exit
    return yield* Effect.die(new Error(`${file} ended with ${code ?? signal}:\n${yield* supervised.tail}`))
  })
  // What it wrote before it ended comes first: a race with its end would lose lines that come together with it.
  const next = Queue.take(child.lines).pipe(
    Effect.catch(() => ended),
    Effect.map((line): unknown => JSON.parse(line))
  )
  const nextWhere = <A>(is: (message: unknown) => message is A): Effect.Effect<A> =>
    Effect.flatMap(next, (message) => (is(message) ? Effect.succeed(message) : nextWhere(is)))

  return {
    pid: child.pid,
    next,
    nextWhere,
    send: (message) => child.write(JSON.stringify(message)),
    kill: child.signal,
    exit: child.exit,
    stderr: supervised.tail
  }
})
