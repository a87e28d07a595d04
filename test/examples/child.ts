import { Effect } from "effect"
import * as childProcess from "node:child_process"
import { root } from "../house/Sources.ts"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs an example as its readers do, until it ends by itself; `onFirstOutput` may end it with a signal. */
export const run = (
  file: string,
  args: ReadonlyArray<string> = [],
  onFirstOutput?: (child: childProcess.ChildProcess) => void
): Effect.Effect<Ended> =>
  Effect.callback((resume) => {
    const child = childProcess.spawn(process.execPath, ["--import", "tsx", file, ...args], { cwd: root })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (stdout === "") onFirstOutput?.(child)
      stdout += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    child.on("error", (cause) => resume(Effect.die(cause)))
    child.on("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
    return Effect.sync(() => void child.kill("SIGKILL"))
  })
