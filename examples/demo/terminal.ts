/**
 * Shows the dashboard: redrawn in place, or a line now and then where there is no terminal.
 */
import { Clock, Effect } from "effect"
import { line, lines, type View } from "./dashboard.ts"

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
  return yield* Effect.forever(Effect.andThen(draw, Effect.sleep("100 millis")))
})

/** Writes a line every second, and whenever the phase has changed. */
const report = Effect.fnUntraced(function* <R>(view: Effect.Effect<View, never, R>) {
  let phase = ""
  let at = -Infinity
  const tell = Effect.gen(function* () {
    const [seen, now] = yield* Effect.all([view, Clock.currentTimeMillis])
    if (seen.phase.name === phase && now - at < 1000) return
    phase = seen.phase.name
    at = now
    yield* write(`${line(seen)}\n`)
  })
  return yield* Effect.forever(Effect.andThen(tell, Effect.sleep("50 millis")))
})

/** Shows what there is to see until it is interrupted. */
export const show = <R>(view: Effect.Effect<View, never, R>) =>
  Effect.scoped(process.stdout.isTTY ? redraw(view) : report(view))
