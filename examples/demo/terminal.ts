/**
 * Shows the dashboard: redrawn in place, or a line now and then where there is no terminal.
 */
import { Effect } from "effect"
import { millisOnTheWall, sleepOnTheWall } from "./clock.ts"
import { line, lines, told, type View } from "./dashboard.ts"

export const write = (text: string): Effect.Effect<void> => Effect.sync(() => void process.stdout.write(text))
const hideCursor = "\u001b[?25l"
const showCursor = "\u001b[?25h"
const eraseLine = "\u001b[2K"
const up = (count: number): string => `\u001b[${count}A`

/** Redraws in place, ten times a second, and once more at the end. */
const redraw = Effect.fnUntraced(function* <R>(view: Effect.Effect<View, never, R>) {
  let drawn = 0
  const draw = Effect.flatMap(view, (now) => {
    const width = process.stdout.columns || 80
    const shown = lines(now).map((text) => `${eraseLine}${text.slice(0, width - 1)}\n`)
    const text = (drawn === 0 ? "" : up(drawn)) + shown.join("")
    drawn = shown.length
    return write(text)
  })
  yield* Effect.acquireRelease(write(hideCursor), () => Effect.andThen(draw, write(showCursor)))
  return yield* Effect.forever(Effect.andThen(draw, sleepOnTheWall("100 millis")))
})

/** Writes a line every second, whenever the phase has changed, and at the end; and each alert. */
const report = Effect.fnUntraced(function* <R>(view: Effect.Effect<View, never, R>) {
  let phase = ""
  let at = -Infinity
  const known = new Set<unknown>()
  const tell = Effect.flatMap(view, (seen) => {
    phase = seen.phase.name
    return write(`${line(seen)}\n`)
  })
  const tellNow = Effect.gen(function* () {
    const [seen, now] = yield* Effect.all([view, millisOnTheWall])
    for (const alert of seen.alerts) {
      if (!known.has(alert)) yield* write(`${told(alert)}\n`)
      known.add(alert)
    }
    if (seen.phase.name === phase && now - at < 1000) return
    at = now
    yield* tell
  })
  yield* Effect.acquireRelease(Effect.void, () => tell)
  return yield* Effect.forever(Effect.andThen(tellNow, sleepOnTheWall("50 millis")))
})

/** Shows what there is to see until it is interrupted. */
export const show = <R>(view: Effect.Effect<View, never, R>) =>
  Effect.scoped(process.stdout.isTTY ? redraw(view) : report(view))
