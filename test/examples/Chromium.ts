/** Chromium without a window, told what to do by the DevTools protocol. */
import { Effect, type Scope } from "effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const binary = (process.env["PATH"] ?? "")
  .split(path.delimiter)
  .flatMap((folder) => ["chromium", "chromium-browser", "google-chrome"].map((name) => path.join(folder, name)))
  .find((file) => fs.existsSync(file))

export const isInstalled = binary !== undefined

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: any
  readonly result?: any
  readonly error?: { readonly message: string }
}

/** A page, and what it has complained about. */
export class Page {
  readonly complaints: Array<string> = []
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, (message: Message) => void>()
  #calls = 0
  constructor(socket: WebSocket) {
    this.#socket = socket
    socket.addEventListener("message", ({ data }) => this.#hear(JSON.parse(String(data))))
  }
  #hear({ method, params, ...message }: Message): void {
    if (message.id !== undefined) this.#waiting.get(message.id)?.(message)
    if (method === "Runtime.exceptionThrown") this.complaints.push(JSON.stringify(params.exceptionDetails))
    if (method === "Log.entryAdded" && params.entry.level !== "info") this.complaints.push(JSON.stringify(params.entry))
    if (method === "Runtime.consoleAPICalled") this.complaints.push(JSON.stringify(params.args))
  }
  call(method: string, params: object = {}): Effect.Effect<any> {
    return Effect.callback((resume) => {
      const id = ++this.#calls
      this.#waiting.set(id, ({ error, result }) => {
        this.#waiting.delete(id)
        resume(error === undefined ? Effect.succeed(result) : Effect.die(new Error(`${method}: ${error.message}`)))
      })
      this.#socket.send(JSON.stringify({ id, method, params }))
    })
  }
  /** The value of an expression of JavaScript; a promise is awaited. */
  evaluate(expression: string): Effect.Effect<any> {
    const params = { expression, awaitPromise: true, returnByValue: true }
    return Effect.flatMap(this.call("Runtime.evaluate", params), ({ exceptionDetails, result }) =>
      exceptionDetails === undefined ? Effect.succeed(result.value) : Effect.die(new Error(exceptionDetails.text))
    )
  }
  /** Waits until an expression of the page is true, whenever the page changes. */
  until(expression: string): Effect.Effect<void> {
    return this.evaluate(`new Promise((resolve) => {
      const check = () => (${expression}) && (observer.disconnect(), resolve(true))
      const observer = new MutationObserver(check)
      observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true })
      check()
    })`)
  }
  /** As wide as a phone or a desk, in the light or in the dark. */
  view({ dark, width }: { readonly width: number; readonly dark: boolean }): Effect.Effect<void> {
    const features = [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]
    const size = { width, height: 900, deviceScaleFactor: 1, mobile: width < 600 }
    return Effect.andThen(
      this.call("Emulation.setDeviceMetricsOverride", size),
      this.call("Emulation.setEmulatedMedia", { features })
    )
  }
  /** The whole page as a PNG. */
  get screenshot(): Effect.Effect<Uint8Array> {
    return Effect.map(this.call("Page.captureScreenshot", { captureBeyondViewport: true }), ({ data }) =>
      Buffer.from(data, "base64")
    )
  }
}

const launch = (profile: string): Effect.Effect<readonly [childProcess.ChildProcess, string]> =>
  Effect.callback((resume) => {
    const args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    const child = childProcess.spawn(binary!, [...args, `--user-data-dir=${profile}`, "about:blank"])
    let said = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text
      const url = /listening on ws:\/\/([^/]+)\//.exec(said)?.[1]
      if (url !== undefined) resume(Effect.succeed([child, url] as const))
    })
    child.on("error", (cause) => resume(Effect.die(cause)))
    child.on("exit", (code) => resume(Effect.die(new Error(`Chromium has ended with ${code}: ${said}`))))
  })

const ended = (child: childProcess.ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill()
  })

const connected = (url: string): Effect.Effect<WebSocket> =>
  Effect.callback((resume) => {
    const socket = new WebSocket(url)
    socket.addEventListener("open", () => resume(Effect.succeed(socket)))
    socket.addEventListener("error", () => resume(Effect.die(new Error(`cannot connect to ${url}`))))
  })

/** Opens a page; Chromium ends with the scope. */
export const open = Effect.fnUntraced(function* (url: string): Effect.fn.Return<Page, never, Scope.Scope> {
  const profile = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "chromium-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
  )
  const [, host] = yield* Effect.acquireRelease(launch(profile), ([child]) => ended(child))
  const targets = yield* Effect.promise(() => fetch(`http://${host}/json/list`).then((response) => response.json()))
  const target = (targets as ReadonlyArray<{ type: string; webSocketDebuggerUrl: string }>).find(
    ({ type }) => type === "page"
  )
  const page = new Page(yield* connected(target!.webSocketDebuggerUrl))
  for (const domain of ["Page", "Runtime", "Log"]) yield* page.call(`${domain}.enable`)
  yield* page.call("Page.navigate", { url })
  return page
})
