/** Characters of an output. */
const most = 512

const signIn = /(?<=[a-z][a-z0-9+.-]*:\/\/)[^/\s?#"'<>]*@/gi
const secret =
  /\b(pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|authorization|credentials?)(["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|(?:(?:bearer|basic)\s+)?[^\s,;&"']+)/gi
const scheme = /\b(bearer|basic)\s+[A-Za-z0-9+/._~=-]{6,}/gi

/** A text for whoever asks for a report: bounded, in one line, and without what signs in somewhere. */
export const shown = (text: string): string => {
  const clean = text
    .slice(0, most * 4)
    .replaceAll(/\s+/g, " ")
    .replaceAll(signIn, "")
    .replaceAll(secret, "$1$2***")
    .replaceAll(scheme, "$1 ***")
    .trim()
  return clean.length > most ? `${clean.slice(0, most - 1)}…` : clean
}
