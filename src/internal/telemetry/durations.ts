/**
 * Sorts durations (milliseconds) into buckets by the bits of the number: 32 to each power of two, so that the middle of a
 * bucket is at most 1.6 % from all that fell into it. From less than a hundredth of a millisecond to more than an hour.
 */
const bits = 5
const lowest = -7
const octaves = 29

export const buckets = octaves << bits

const number = new Float64Array(1)
const words = new Uint32Array(number.buffer)
number[0] = 1
/** The word with the sign, the exponent and the first bits of the mantissa. */
const high = words[1] === 0 ? 0 : 1
const shift = 20 - bits
const first = (lowest + 1023) << bits

export const bucketOf = (millis: number): number => {
  number[0] = millis
  const bucket = (words[high]! >>> shift) - first
  return bucket < 0 || millis <= 0 ? 0 : bucket < buckets ? bucket : buckets - 1
}

const lowerEdgeOf = (bucket: number): number =>
  2 ** (lowest + (bucket >> bits)) * (1 + (bucket & ((1 << bits) - 1)) / (1 << bits))
export const middleOf = (bucket: number): number => (lowerEdgeOf(bucket) + lowerEdgeOf(bucket + 1)) / 2

/** Of the histograms that are exported: the upper edges, in milliseconds. */
export const boundaries: ReadonlyArray<number> = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000
]

/** The first boundary that the lower edge of each bucket does not exceed. Within a bucket there is one boundary at most. */
const firstBoundary = Uint8Array.from({ length: buckets }, (_, bucket) => {
  const found = boundaries.findIndex((boundary) => lowerEdgeOf(bucket) <= boundary)
  return found < 0 ? boundaries.length : found
})

/** The place of the first boundary that a duration does not exceed. */
export const boundaryOf = (millis: number, bucket: number): number => {
  const place = bucket === 0 ? 0 : firstBoundary[bucket]!
  return place < boundaries.length && millis > boundaries[place]! ? place + 1 : place
}
