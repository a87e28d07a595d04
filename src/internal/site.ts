import * as Schema from "effect/Schema"

/** Which call an error of a policy belongs to, as far as the call says it. */
export const fields = {
  /** For example `POST /v1/charges`. */
  operation: Schema.optionalKey(Schema.String),
  requestId: Schema.optionalKey(Schema.String)
}

export interface Site {
  readonly operation?: string
  readonly requestId?: string
}

/** What a message begins and ends with to say which call it is about. */
export const describe = (site: Site, text: string): string => {
  const before = site.operation === undefined ? "" : `${site.operation}: `
  return `${before}${text}${site.requestId === undefined ? "" : ` (request ${site.requestId})`}`
}
