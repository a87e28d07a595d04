/** Whether a trace is kept, by its id alone, so that all who ask say the same. */
export type Sampler = (traceId: string) => boolean

/** 52 of the 56 bits of an id that are random (W3C Trace Context, level 2) are a number. */
const digits = 13
const all = 16 ** digits

/**
 * Keeps so many percent of the traces: those whose randomness reaches the threshold of rejection (OpenTelemetry's
 * TraceIdRatioBased). What is kept at a percentage is kept at any higher one.
 */
export const ratio = (percent: number): Sampler => {
  const threshold = Math.round((1 - percent / 100) * all)
  return (traceId) => Number.parseInt(traceId.slice(-14, -1), 16) >= threshold
}
