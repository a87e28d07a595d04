import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as childProcess from "node:child_process"
import { root } from "../house/Sources.ts"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Options {
  /** The servers that the example uses. Default: none, also where the environment names some. */
  readonly env?: { readonly AMQP_URL?: string; readonly DATABASE_URL?: string }
  /** May end it with a signal. */
  readonly onFirstOutput?: (child: childProcess.ChildProcess) => void
}

/** Runs an example as its readers do, until it ends by itself. */
export const run = (
  file: string,
  args: ReadonlyArray<string> = [],
  { env, onFirstOutput }: Options = {}
): Effect.Effect<Ended> =>
  Effect.callback((resume) => {
    const child = childProcess.spawn(process.execPath, ["--import", "tsx", file, ...args], {
      cwd: root,
      env: { ...process.env, AMQP_URL: undefined, DATABASE_URL: undefined, ...env }
    })
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

/** Whether an example ended well, and said these texts in this order. */
export const assertSays = ({ code, stderr, stdout }: Ended, expected: ReadonlyArray<string>): void => {
  assert.strictEqual(code, 0, stderr + stdout)
  let from = 0
  for (const text of expected) {
    const at = stdout.indexOf(text, from)
    assert.isAtLeast(at, 0, `"${text}" is not in its place in:\n${stdout}`)
    from = at + text.length
  }
}
