/** A text of the design in one line of a terminal: nothing in it moves the cursor, colours, or turns the direction. */
export const line = (given: string): string =>
  given
    .replaceAll(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]+/gu, " ")
    .replaceAll(/\s+/g, " ")
    .trim()
