/**
 * Where the binaries of a server are: installed, or else installed now by `apt-get`, as root on Debian.
 */
import { Effect } from "effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { isOpen } from "./Port.ts"
import { type Owner, ServerUnavailable } from "./Supervised.ts"

export interface Package {
  /** What Debian calls it. */
  readonly name: string
  /** The port of the service that the package would start. */
  readonly port: number
  /** The folder of its binaries, when it is installed. */
  readonly find: () => string | undefined
}

const onPath = (): ReadonlyArray<string> => (process.env["PATH"] ?? "").split(path.delimiter)

const firstWith = (folders: ReadonlyArray<string>, ...binaries: ReadonlyArray<string>): string | undefined =>
  folders.find((folder) => binaries.every((binary) => fs.existsSync(path.join(folder, binary))))

const versions = (folder: string): ReadonlyArray<string> =>
  fs.existsSync(folder)
    ? fs
        .readdirSync(folder)
        .toSorted((a, b) => Number(b) - Number(a))
        .map((version) => path.join(folder, version, "bin"))
    : []

export const rabbitmq: Package = {
  name: "rabbitmq-server",
  port: 5672,
  // Debian's scripts on the path switch the user, so those that they wrap come first.
  find: () =>
    firstWith(
      ["/usr/lib/rabbitmq/bin", ...onPath(), "/opt/homebrew/sbin", "/usr/local/sbin"],
      "rabbitmq-server",
      "rabbitmqctl"
    )
}

export const postgres: Package = {
  name: "postgresql",
  port: 5432,
  find: () => firstWith([...versions("/usr/lib/postgresql"), ...onPath()], "postgres", "initdb")
}

/** Whether a package that is missing can be installed: as root, where there is `apt-get`. */
export const canInstall = (): boolean => process.getuid?.() === 0 && fs.existsSync("/usr/bin/apt-get")

/**
 * Two test processes may want to install at once: `flock` admits one of them, and the other finds it done. Packages start
 * their service unless a policy forbids it; one that is there already is left as it is.
 */
const installation = `
set -e
if dpkg-query -W -f '\${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'; then exit 0; fi
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\\nexit 101\\n' >"$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
install() { apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "$1"; }
install "$1" || { apt-get -o DPkg::Lock::Timeout=300 update -q && install "$1"; }
`

const run = (command: string, args: ReadonlyArray<string>): Effect.Effect<void, ServerUnavailable> =>
  Effect.callback((resume) => {
    childProcess.execFile(command, args, { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const message = `${command} failed:\n${`${stdout}${stderr}`.slice(-2_000)}`
      resume(error === null ? Effect.void : Effect.fail(new ServerUnavailable({ message })))
    })
  })

const lock = path.join(os.tmpdir(), "effect-integration-install.lock")

/** The folder of the binaries of a package, which is installed first where it is missing. */
export const folderOf = Effect.fnUntraced(function* (wanted: Package) {
  const found = wanted.find()
  if (found !== undefined) {
    // It may be half there, while another process installs it.
    if (canInstall()) yield* run("flock", [lock, "true"])
    return found
  }
  const lacking = `${wanted.name} is not installed`
  if (!canInstall()) return yield* new ServerUnavailable({ message: `${lacking}: install it` })
  const wasOpen = yield* isOpen(wanted.port)
  yield* Effect.uninterruptible(run("flock", [lock, "sh", "-c", installation, "sh", wanted.name]))
  // Where the policy is not asked, the service runs now.
  if (!wasOpen && (yield* isOpen(wanted.port))) yield* run("service", [wanted.name, "stop"])
  const installed = wanted.find()
  if (installed === undefined) {
    return yield* new ServerUnavailable({ message: `${lacking}, and apt-get did not bring it` })
  }
  return installed
})

/** Another user to run a server as, where it refuses to run as root. */
export const otherThanRoot = (...names: ReadonlyArray<string>): Owner | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const users = fs
    .readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"))
  const user = names.map((name) => users.find(([known]) => known === name)).find((user) => user !== undefined)
  return user === undefined ? undefined : { uid: Number(user[2]), gid: Number(user[3]) }
}
