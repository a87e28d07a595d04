/** Milliseconds until something that failed is tried again, doubled each time up to the longest. */
const firstPause = 1000
const longestPause = 30_000

export const pauseAfter = (failures: number): number =>
  Math.min(firstPause * 2 ** Math.max(0, failures - 1), longestPause)

/** A time in which nothing is published. When a pause is over, one is let through; when that succeeds, all are. */
export class BrokerOutage {
  #failures = 0
  #isProbing = false
  /** Monotonic milliseconds. */
  until = 0

  /** Whether one may be published; during an outage as its probe. */
  admits(now: number): boolean {
    return this.#failures === 0 || (!this.#isProbing && now >= this.until)
  }
  /** Whether there was none before. What fails with others is one failure with them. */
  begin(now: number): boolean {
    this.#isProbing = false
    if (this.#failures > 0 && now < this.until) return false
    this.#failures++
    this.until = now + pauseAfter(this.#failures)
    return this.#failures === 1
  }
  probe(): void {
    this.#isProbing = this.#failures > 0
  }
  /** The probe was not tried. */
  giveBack(): void {
    this.#isProbing = false
  }
  /** Whether there was one. */
  end(): boolean {
    const was = this.#failures > 0
    this.#failures = 0
    this.#isProbing = false
    return was
  }
  get isOn(): boolean {
    return this.#failures > 0
  }
  /** When it can go on; never by itself while a probe is under way. */
  get next(): number {
    return this.#failures === 0 || this.#isProbing ? Infinity : this.until
  }
}
