import * as Secrets from "../../internal/secrets.ts"

/** Characters of an output. */
const most = 512

/** A text for whoever asks for a report: bounded, in one line, and without what signs in somewhere. */
export const shown = (text: string): string => {
  const clean = Secrets.plain(text.slice(0, most * 4).replaceAll(/\s+/g, " ")).trim()
  return clean.length > most ? `${clean.slice(0, most - 1)}…` : clean
}
