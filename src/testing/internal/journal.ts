import * as Effect from "effect/Effect"
import type { Socket } from "node:net"
import type { RecordedRequest } from "../RecordedRequest.ts"

/**
 * All that a stub provider knows at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly requests: ReadonlyArray<RecordedRequest>
  readonly openSockets: number
}

/** What a stub provider has seen so far; every change is told to who waits for one. */
export interface Journal {
  readonly snapshot: () => Snapshot
  readonly record: (request: Omit<RecordedRequest, "id">) => RecordedRequest
  readonly amend: (id: number, change: Partial<Pick<RecordedRequest, "status" | "outcome">>) => void
  readonly outcomeOf: (id: number) => RecordedRequest["outcome"] | undefined
  readonly forget: () => void
  readonly connected: (socket: Socket) => void
  readonly connectionOf: (socket: Socket) => number
  readonly destroySockets: () => void
  readonly until: (predicate: (snapshot: Snapshot) => boolean) => Effect.Effect<Snapshot>
}

export const make = (): Journal => {
  const requests = new Map<number, RecordedRequest>()
  const sockets = new Map<Socket, number>()
  const waiting = new Set<() => void>()
  let lastRequest = 0
  let lastConnection = 0

  const changed = () => Array.from(waiting).forEach((check) => check())
  const snapshot = (): Snapshot => ({ requests: Array.from(requests.values()), openSockets: sockets.size })

  return {
    snapshot,
    record: (request) => {
      const recorded = { ...request, id: ++lastRequest }
      requests.set(recorded.id, recorded)
      changed()
      return recorded
    },
    amend: (id, change) => {
      const request = requests.get(id)
      if (request !== undefined) {
        requests.set(id, { ...request, ...change })
        changed()
      }
    },
    outcomeOf: (id) => requests.get(id)?.outcome,
    forget: () => {
      requests.clear()
      changed()
    },
    connected: (socket) => {
      sockets.set(socket, ++lastConnection)
      socket.on("close", () => {
        sockets.delete(socket)
        changed()
      })
      changed()
    },
    connectionOf: (socket) => sockets.get(socket) ?? 0,
    destroySockets: () => Array.from(sockets.keys()).forEach((socket) => socket.destroy()),
    // The check and the registration are one synchronous step, so that no change is missed in between
    until: (predicate) =>
      Effect.callback((resume) => {
        const check = () => {
          const now = snapshot()
          if (predicate(now)) {
            waiting.delete(check)
            resume(Effect.succeed(now))
          }
        }
        waiting.add(check)
        check()
        return Effect.sync(() => waiting.delete(check))
      })
  }
}
