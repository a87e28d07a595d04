import type { Change, Json, Kind } from "./change.ts"
import { type SchemaChange, schemaChanges } from "./schemas.ts"

/**
 * Who is concerned by a schema: `request` is written by us, so what is admitted no more breaks; `response` is read by us, so
 * what is new breaks; `stored` was written before and is read later, and read by others: both break.
 */
export type Use = "request" | "response" | "stored"

/** Changes of a payload, by what they do to those that write and read it. */
export const payloadChanges = (
  use: Use,
  before: Json | undefined,
  after: Json | undefined,
  at: { readonly section: string; readonly subject: string; readonly path: string; readonly migration?: string }
): ReadonlyArray<Change> =>
  schemaChanges(before, after, at.path).map((change) => {
    const kind = kindOf(use, change)
    return {
      kind,
      section: at.section,
      subject: at.subject,
      what: `${change.path}: ${change.what}`,
      ...(change.before === undefined ? {} : { before: change.before }),
      ...(change.after === undefined ? {} : { after: change.after }),
      consequences: [consequenceOf(use, change, kind)],
      ...(kind === "breaking" && at.migration !== undefined ? { migration: at.migration } : {})
    }
  })

const kindOf = (use: Use, { loosened, tightened, what }: SchemaChange): Kind => {
  if (!tightened && !loosened) return what.endsWith("field added") ? "behavioural" : "documentation"
  if (use === "request") return tightened ? "breaking" : "behavioural"
  if (use === "response") return loosened ? "breaking" : "behavioural"
  return "breaking"
}

const consequenceOf = (use: Use, { loosened, tightened, what }: SchemaChange, kind: Kind): string => {
  if (kind === "documentation") return "the same values are valid"
  if (kind === "behavioural") return "compatible"
  if (use === "request") return "breaks callers: requests that were valid are refused"
  if (use === "response") return "breaks readers of the response"
  if (what === "field removed") return "breaks consumers: a field that they may read is not there any more"
  return tightened && loosened
    ? "breaks consumers and what was written before"
    : tightened
      ? "breaks what was written before: it is not valid any more"
      : "breaks consumers: they may not know the new values"
}
