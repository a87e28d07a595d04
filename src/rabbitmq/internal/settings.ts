import type * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import { Buffer } from "node:buffer"
import type { ConnectionOptions } from "node:tls"
import * as Option from "../../internal/option.ts"
import type { QueueType } from "../Queues.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * `amqp://user:password@host:port/vhost`, or `amqps`. Defaults within it: guest, guest, 5672 (amqps: 5671) and the
   * virtual host `/`.
   */
  readonly url: string | Redacted.Redacted<string>
  /** For amqps: `ca`, `cert`, `key`, `servername` and what else Node's TLS takes. */
  readonly tls?: Omit<ConnectionOptions, "key" | "passphrase"> & {
    readonly key?: NonNullable<ConnectionOptions["key"]> | Redacted.Redacted<string>
    readonly passphrase?: string | Redacted.Redacted<string>
  }
  /** A connection that is silent for two of these is over. Rounded to seconds. Default: 10 seconds. */
  readonly heartbeat?: Duration.Input
  /** For one attempt to connect. Default: 10 seconds. */
  readonly connectTimeout?: Duration.Input
  /**
   * Attempts are repeated for ever, after a random part of a delay that doubles from `base` (default: 100 millis) to `cap`
   * (default: 10 seconds).
   */
  readonly reconnect?: { readonly base?: Duration.Input; readonly cap?: Duration.Input }
  /**
   * What the layer does when the broker is not there: `wait` (default) for as long as `startupTimeout` (default: 30
   * seconds), or `fail` with the first attempt. Either fails with `BrokerUnavailable`.
   */
  readonly startup?: "wait" | "fail"
  readonly startupTimeout?: Duration.Input
  /** Messages that wait for their confirm at once. Default: 1024. */
  readonly maxInFlight?: number
  /** Default: 10 seconds. */
  readonly publishTimeout?: Duration.Input
  /** Of all queues that are declared. Default: `quorum`; a `classic` one loses dead letters when the broker crashes. */
  readonly queueType?: "quorum" | "classic"
  /** Shown in RabbitMQ's management. Default: `effect-integration`. */
  readonly connectionName?: string
}

const where = "RabbitMqBroker.layer"

/** The options, checked, in milliseconds. */
export interface Settings {
  /** Host, port and virtual host, to be shown. */
  readonly endpoint: string
  /** What amqplib connects with; a function, so that nothing that is inspected shows it. */
  readonly target: () => Target
  /** The user, whose id alone may be sent along. */
  readonly user: () => string
  /** A text of the server or a library, without credentials. */
  readonly scrub: (text: string) => string
  readonly tls: () => ConnectionOptions
  readonly connectTimeout: number
  readonly backoff: { readonly base: number; readonly cap: number }
  readonly startup: "wait" | "fail"
  readonly startupTimeout: number
  readonly maxInFlight: number
  readonly publishTimeout: number
  readonly queueType: QueueType
  readonly connectionName: string
}

interface Target {
  readonly protocol: string
  readonly hostname: string
  readonly port?: number
  readonly username: string
  readonly password: string
  readonly vhost: string
  readonly heartbeat: number
}

const decoded = (text: string): string | undefined => {
  const bytes = text.replace(/%[0-9A-Fa-f]{2}/g, "")
  if (bytes.includes("%")) return undefined
  const parts = text.split(/((?:%[0-9A-Fa-f]{2})+)/)
  const plain = parts.map((part) =>
    part.startsWith("%") ? Buffer.from(part.replaceAll("%", ""), "hex").toString("utf8") : part
  )
  return plain.join("")
}

const reveal = <A>(value: A | Redacted.Redacted<A>): A => (Redacted.isRedacted(value) ? Redacted.value(value) : value)

export const settings = (options: Options): Settings => {
  // What was given is never repeated: it holds the password.
  const wrong = (expected: string): never => Option.reject(where, "url", Redacted.make("url"), expected)
  const text = reveal(options.url)
  if (typeof text !== "string" || !URL.canParse(text)) wrong("an absolute URL of amqp or amqps")
  const url = new URL(text)
  if (url.protocol !== "amqp:" && url.protocol !== "amqps:") wrong("an absolute URL of amqp or amqps")
  if (url.hostname === "") wrong("a URL with a host")
  const anonymous = url.username === "" && url.password === ""
  const username = anonymous ? "guest" : decoded(url.username)
  const password = anonymous ? "guest" : decoded(url.password)
  const path = url.pathname.slice(1)
  const vhost = path === "" ? "/" : decoded(path)
  if (username === undefined || password === undefined || vhost === undefined) {
    return wrong("a URL whose user, password and virtual host are percent-encoded")
  }

  const heartbeat = Option.millis(where, "heartbeat", options.heartbeat ?? "10 seconds")
  if (heartbeat > 65_535_000) Option.reject(where, "heartbeat", options.heartbeat, "at most 65535 seconds")
  const connectTimeout = Option.millis(where, "connectTimeout", options.connectTimeout ?? "10 seconds")
  const base = Option.millis(where, "reconnect.base", options.reconnect?.base ?? "100 millis")
  const cap = Option.millis(where, "reconnect.cap", options.reconnect?.cap ?? Math.max(10_000, base))
  if (cap < base) Option.reject(where, "reconnect.cap", options.reconnect?.cap, "at least reconnect.base")
  const connectionName = options.connectionName ?? "effect-integration"
  if (typeof connectionName !== "string" || connectionName.trim() === "") {
    Option.reject(where, "connectionName", connectionName, "a name that is not empty")
  }
  const hostname = url.hostname.replace(/^\[|\]$/g, "")
  const port = url.port === "" ? undefined : Number(url.port)

  return {
    endpoint: `${url.host}/${vhost === "/" ? "" : encodeURIComponent(vhost)}`,
    target: () => ({
      protocol: url.protocol.slice(0, -1),
      hostname,
      ...(port === undefined ? {} : { port }),
      username,
      password,
      vhost: encodeURIComponent(vhost),
      // Whole seconds, as the protocol has it; 0 would be none.
      heartbeat: Math.max(1, Math.round(heartbeat / 1000))
    }),
    user: () => username,
    scrub: (given) => {
      const unnamed = given.replace(/user '[^']*'/g, "the user")
      return password.length < 4 ? unnamed : unnamed.replaceAll(password, "***")
    },
    tls: () => tlsOf(options.tls),
    connectTimeout,
    backoff: { base, cap },
    startup: Option.word(where, "startup", options.startup ?? "wait", ["wait", "fail"]),
    startupTimeout: Option.millis(where, "startupTimeout", options.startupTimeout ?? "30 seconds"),
    // The delivery tags of one channel, and its window, stay far below what AMQP can count.
    maxInFlight: Option.number(where, "maxInFlight", options.maxInFlight ?? 1024, { min: 1, max: 1e6, integer: true }),
    publishTimeout: Option.millis(where, "publishTimeout", options.publishTimeout ?? "10 seconds"),
    queueType: Option.word(where, "queueType", options.queueType ?? "quorum", ["quorum", "classic"]),
    connectionName
  }
}

const tlsOf = (tls: Options["tls"]): ConnectionOptions => {
  if (tls === undefined) return {}
  const { key, passphrase, ...rest } = tls
  const found: ConnectionOptions = { ...rest }
  if (key !== undefined) found.key = Redacted.isRedacted(key) ? Redacted.value(key) : key
  if (passphrase !== undefined) found.passphrase = reveal(passphrase)
  return found
}
