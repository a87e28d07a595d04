import * as Duration from "effect/Duration"

const units = [
  ["day", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000]
] as const

/** A time for a reader: `900 ms`, `4.2 s`, `30 min`, `7 days`. Never shorter than it is. */
export const span = (millis: number): string => {
  if (millis === Infinity) return "no limit"
  const whole = Math.ceil(millis)
  for (const [unit, size] of units) {
    const count = whole / size
    if (count >= 1 && Number.isInteger(count)) return `${count} ${unit === "day" && count > 1 ? "days" : unit}`
    if (unit === "s" && count >= 1 && count < 120) return `${count} s`
    if (count < 2) continue
    // What one decimal cannot say is said in several units.
    return Number.isInteger(Math.round(count * 1e6) / 1e5)
      ? `${count} ${unit === "day" ? "days" : unit}`
      : Duration.format(Duration.millis(whole))
  }
  return `${whole} ms`
}

/** The same, of a duration of the design. */
export const spanOf = (given: Duration.Input): string => span(Duration.toMillis(Duration.fromInputUnsafe(given)))
