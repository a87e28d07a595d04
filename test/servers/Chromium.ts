/** Chromium without a window, told what to do by the DevTools protocol. */
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { make as supervise, ServerUnavailable, untilReady } from "./Supervised.ts"

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
      // The last of it is no change of the tree.
      document.addEventListener("readystatechange", check)
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

const connected = (url: string): Effect.Effect<WebSocket> =>
  Effect.callback((resume) => {
    const socket = new WebSocket(url)
    socket.addEventListener("open", () => resume(Effect.succeed(socket)))
    socket.addEventListener("error", () => resume(Effect.die(new Error(`cannot connect to ${url}`))))
  })

/** Where it listens is in a file of its profile, as soon as it does. */
const portOf = (profile: string): Effect.Effect<string, ServerUnavailable> =>
  Effect.try({
    try: () => fs.readFileSync(path.join(profile, "DevToolsActivePort"), "utf8").split("\n")[0]!,
    catch: (cause) => new ServerUnavailable({ message: `Chromium does not listen: ${String(cause)}` })
  })

/** Opens a page; Chromium ends with the scope, also when the test process is killed. */
export const open = Effect.fnUntraced(function* (url: string): Effect.fn.Return<Page, ServerUnavailable, Scope.Scope> {
  const supervised = yield* supervise("chromium")
  const profile = path.join(supervised.directory, "profile")
  const args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
  const browser = yield* supervised.start({
    command: binary!,
    args: [...args, `--user-data-dir=${profile}`, "about:blank"],
    // Nothing of it is kept.
    last: "SIGKILL"
  })
  const list = Effect.flatMap(portOf(profile), (port) =>
    Effect.tryPromise(() => fetch(`http://127.0.0.1:${port}/json/list`).then((response) => response.json()))
  )
  yield* untilReady("chromium", supervised, browser, list)
  const targets = yield* Effect.orDie(list)
  const target = (targets as ReadonlyArray<{ type: string; webSocketDebuggerUrl: string }>).find(
    ({ type }) => type === "page"
  )
  const page = new Page(yield* connected(target!.webSocketDebuggerUrl))
  for (const domain of ["Page", "Runtime", "Log"]) yield* page.call(`${domain}.enable`)
  yield* page.call("Page.navigate", { url })
  return page
})
