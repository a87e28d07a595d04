/**
 * A private RabbitMQ on free loopback ports, in a directory of its own, with an epmd of its own.
 *
 * It can be killed and started again with its data. Its user is guest, with the password guest.
 */
import * as amqplib from "amqplib"
import { Effect, type Scope } from "effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Installed from "./Installed.ts"
import { freePort, isOpen } from "./Port.ts"
import { make as supervise, type Running, ServerUnavailable, untilReady } from "./Supervised.ts"

export interface Options {
  /** Lines of `rabbitmq.conf`, such as `vm_memory_high_watermark.absolute = 1MB`. */
  readonly config?: ReadonlyArray<string>
  /** Plugins to enable, such as `rabbitmq_consistent_hash_exchange`. Default: none. */
  readonly plugins?: ReadonlyArray<string>
}

/** What `rabbitmqctl` needs to reach a broker, also from another process. */
export interface Control {
  readonly command: string
  readonly env: Readonly<Record<string, string>>
}

export interface RabbitMq {
  readonly url: string
  readonly port: number
  /** The name of the Erlang node. */
  readonly node: string
  readonly control: Control
  /** The pid of the broker. */
  readonly pid: Effect.Effect<number>
  /** SIGKILL; resolves when it is gone. */
  readonly kill: Effect.Effect<void>
  /** An orderly stop; resolves when it is gone. */
  readonly stop: Effect.Effect<void>
  /** Starts it again with the same data and ports; resolves when it accepts AMQP. */
  readonly start: Effect.Effect<void, ServerUnavailable>
  /** Runs `rabbitmqctl` against it; gives what that prints. */
  readonly ctl: (...args: ReadonlyArray<string>) => Effect.Effect<string, ServerUnavailable>
}

/** Runs `rabbitmqctl`; gives what it prints. */
export const ctl = (control: Control, args: ReadonlyArray<string>): Effect.Effect<string, ServerUnavailable> =>
  Effect.callback((resume) => {
    const child = childProcess.execFile(control.command, args, { env: control.env }, (error, stdout, stderr) => {
      const message = `rabbitmqctl ${args.join(" ")} failed:\n${stderr}${stdout}`
      resume(error === null ? Effect.succeed(stdout) : Effect.fail(new ServerUnavailable({ message })))
    })
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** A virtual host of this name, open to guest. */
export const addVhost = (control: Control, name: string): Effect.Effect<void, ServerUnavailable> =>
  Effect.asVoid(
    ctl(control, [
      "eval",
      `ok = rabbit_vhost:add(<<"${name}">>, <<"guest">>),
       rabbit_auth_backend_internal:set_permissions(
         <<"guest">>, <<"${name}">>, <<".*">>, <<".*">>, <<".*">>, <<"guest">>).`
    ])
  )

const handshake = (url: string): Effect.Effect<void, unknown> =>
  Effect.tryPromise(() => amqplib.connect(url, { timeout: 4_000 }).then((connection) => connection.close()))

const scheduling = "+sbwt none +sbwtdcpu none +sbwtdio none"

/** A broker of its own that accepts AMQP, until the scope closes. */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<RabbitMq, ServerUnavailable, Scope.Scope> {
  const bin = yield* Installed.folderOf(Installed.rabbitmq)
  const supervised = yield* supervise("rabbitmq")
  const port = yield* freePort
  const distribution = yield* freePort
  const mapper = yield* freePort
  const node = `test-${port}@localhost`
  const at = (name: string) => path.join(supervised.directory, name)
  const write = (name: string, text: string, mode = 0o600) => fs.writeFileSync(at(name), text, { mode })
  write(".erlang.cookie", `cookie-${port}-${distribution}`, 0o400)
  write("env.conf", "")
  write("plugins", `[${(options.plugins ?? []).join(",")}].\n`)
  const config = [`listeners.tcp.1 = 127.0.0.1:${port}`, "log.console = true", "log.file = false"]
  write("rabbitmq.conf", [...config, ...(options.config ?? []), ""].join("\n"))

  const env = {
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    LANG: "C.UTF-8",
    HOME: supervised.directory,
    ERL_EPMD_PORT: String(mapper),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    // An epmd that Erlang starts by itself would stay.
    ERL_FLAGS: "-start_epmd false",
    RABBITMQ_NODENAME: node,
    RABBITMQ_CONF_ENV_FILE: at("env.conf")
  }
  const environment = {
    ...env,
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_BASE: supervised.directory,
    RABBITMQ_CONFIG_FILE: at("rabbitmq.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: at("plugins"),
    RABBITMQ_GENERATED_CONFIG_DIR: at("generated"),
    RABBITMQ_LOG_BASE: at("logs"),
    RABBITMQ_MNESIA_BASE: at("mnesia"),
    RABBITMQ_PID_FILE: at("pid"),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `${scheduling} -kernel inet_dist_use_interface {127,0,0,1}`,
    // So the shell becomes the broker, and the pid is the broker's own.
    RUNNING_UNDER_SYSTEMD: "1",
    NOTIFY_SOCKET: ""
  }
  const url = `amqp://guest:guest@127.0.0.1:${port}`

  const epmd = yield* supervised.start({
    command: "epmd",
    args: ["-address", "127.0.0.1", "-port", String(mapper)],
    env,
    last: "SIGKILL"
  })
  yield* untilReady(
    "epmd",
    supervised,
    epmd,
    Effect.filterOrFail(isOpen(mapper), (open) => open)
  )

  const launch = Effect.fnUntraced(function* () {
    const broker = yield* supervised.start({
      command: path.join(bin, "rabbitmq-server"),
      env: environment,
      last: "SIGKILL"
    })
    yield* untilReady("rabbitmq-server", supervised, broker, handshake(url))
    return broker
  })

  let broker: Running = yield* launch()

  const end = (signal: NodeJS.Signals) =>
    Effect.suspend(() => Effect.andThen(broker.signal(signal), Effect.asVoid(broker.exit)))

  const control = { command: path.join(bin, "rabbitmqctl"), env }
  // RabbitMQ 3.10 registers quorum queues in a table that it writes now and then: killed before, it forgets the youngest.
  const flush = "[dets:sync(Table) || Table <- dets:all()]."
  return {
    url,
    port,
    node,
    control,
    pid: Effect.sync(() => broker.pid),
    kill: Effect.andThen(Effect.ignore(ctl(control, ["eval", flush])), end("SIGKILL")),
    stop: end("SIGTERM"),
    start: Effect.map(launch(), (launched) => {
      broker = launched
    }),
    ctl: (...args) => ctl(control, args)
  }
})
