import { Effect } from "effect"
import * as childProcess from "node:child_process"
import { root } from "../house/Sources.ts"

export interface Serving {
  /** Without a slash at the end. */
  readonly url: string
  /** Sends a signal, and gives the exit code and what was said. */
  readonly end: (signal: NodeJS.Signals) => Effect.Effect<{ readonly code: number | null; readonly said: string }>
}

/** The demo, that serves until it is told to end, or the scope is closed. */
export const serve = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  let said = ""
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      childProcess.spawn(process.execPath, ["--import", "tsx", "examples/demo/main.ts", "--serve", ...args], {
        cwd: root
      })
    ),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve))
  const url = yield* Effect.callback<string>((resume) => {
    const hear = (text: string) => {
      said += text
      const url = /live page +(http:\/\/[^/]+)\//.exec(said)?.[1]
      if (url !== undefined) resume(Effect.succeed(url))
    }
    child.stdout.setEncoding("utf8").on("data", hear)
    child.stderr.setEncoding("utf8").on("data", hear)
    child.once("close", () => resume(Effect.die(new Error(said))))
  })
  const serving: Serving = {
    url,
    end: (signal) =>
      Effect.promise(async () => {
        child.kill(signal)
        return { code: await closed, said }
      })
  }
  return serving
})
