/**
 * The process between a test process and its servers, run by `Supervised.ts`.
 *
 * Its standard input is a pipe that only the test process can hold open. When the pipe closes, for whatever reason, every
 * process it has started is ended by its own pid, the directory is removed, and it ends itself. So a test process that is
 * killed with -9 leaves nothing behind.
 */
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as readline from "node:readline"

/** What the test process asks for, one JSON line each. */
export type Command =
  | {
      readonly _tag: "Start"
      readonly id: number
      readonly command: string
      readonly args: ReadonlyArray<string>
      readonly env: Readonly<Record<string, string>>
      readonly cwd: string
      readonly uid: number | undefined
      readonly gid: number | undefined
      /** Sends each line of standard output as an event, instead of into the log. */
      readonly lines: boolean
      /** The signal that ends it when the pipe closes. */
      readonly last: NodeJS.Signals
    }
  | { readonly _tag: "Signal"; readonly id: number; readonly signal: NodeJS.Signals }
  | { readonly _tag: "Write"; readonly id: number; readonly line: string }

/** What the supervisor tells, one JSON line each. */
export type Event =
  | { readonly _tag: "Ready"; readonly directory: string }
  | { readonly _tag: "Started"; readonly id: number; readonly pid: number }
  | { readonly _tag: "Failed"; readonly id: number; readonly message: string }
  | { readonly _tag: "Line"; readonly id: number; readonly line: string }
  | { readonly _tag: "Exited"; readonly id: number; readonly code: number | null; readonly signal: string | null }

const patience = 5_000

const [name = "server", uid, gid] = process.argv.slice(2)

const directory = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`))
if (uid !== undefined && gid !== undefined) fs.chownSync(directory, Number(uid), Number(gid))
const log = fs.openSync(path.join(directory, "log"), "a", 0o644)

const running = new Map<
  number,
  { readonly child: childProcess.ChildProcess; readonly pid: number; readonly last: NodeJS.Signals }
>()

const tell = (event: Event): void => void process.stdout.write(`${JSON.stringify(event)}\n`)

/** Each child leads a group of its own. The orderly signals are for it alone, the others reach what it has started. */
const signal = (pid: number, signal: NodeJS.Signals): void => {
  const orderly = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"].includes(signal)
  try {
    process.kill(orderly ? pid : -pid, signal)
  } catch {
    // It has ended already.
  }
}

const start = (command: Command & { readonly _tag: "Start" }): void => {
  const { args, cwd, env, gid, id, last, lines, uid } = command
  const child = childProcess.spawn(command.command, args, {
    cwd,
    detached: true,
    env,
    stdio: ["pipe", lines ? "pipe" : log, log],
    ...(uid === undefined ? undefined : { uid }),
    ...(gid === undefined ? undefined : { gid })
  })
  child.on("error", (error) => tell({ _tag: "Failed", id, message: error.message }))
  child.stdin?.on("error", () => {})
  const { pid } = child
  if (pid === undefined) return
  running.set(id, { child, pid, last })
  tell({ _tag: "Started", id, pid })
  child.on("exit", () => {
    running.delete(id)
    signal(pid, "SIGKILL")
    if (ending && running.size === 0) leave()
  })
  // After its last line, where there are lines.
  child.on("close", (code, signal) => tell({ _tag: "Exited", id, code, signal }))
  if (child.stdout !== null) {
    readline.createInterface({ input: child.stdout }).on("line", (line) => tell({ _tag: "Line", id, line }))
  }
}

let ending = false

const end = (): void => {
  if (ending) return
  ending = true
  for (const { last, pid } of running.values()) {
    signal(pid, "SIGCONT")
    signal(pid, last)
  }
  setTimeout(() => {
    for (const { pid } of running.values()) signal(pid, "SIGKILL")
  }, patience)
  if (running.size === 0) leave()
}

const leave = (): void => {
  fs.rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  process.exit(0)
}

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, end)
process.stdout.on("error", () => {})

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line) as Command
    if (command._tag === "Start") start(command)
    else {
      const target = running.get(command.id)
      if (command._tag === "Signal" && target !== undefined) signal(target.pid, command.signal)
      if (command._tag === "Write") target?.child.stdin?.write(`${command.line}\n`)
    }
  })
  .on("close", end)

tell({ _tag: "Ready", directory })
