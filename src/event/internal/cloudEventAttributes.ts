import * as Syntax from "./cloudEventSyntax.ts"

/** What is wrong with an event, never with a value in it. */
export class Problem {
  readonly attribute: string
  readonly description: string
  constructor(attribute: string, description: string) {
    this.attribute = attribute
    this.description = description
  }
}

/** The names that are no extensions. */
const own = new Set(["specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "data"])

const textual = new Set(["traceparent", "tracestate", "partitionkey", "sequence", "sequencetype"])

/** Whether an attribute is always a text. */
export const isTextual = (name: string): boolean => own.has(name) || textual.has(name)

const wrongType = "is no text"

/** A name as it can be shown to anybody, however it was received. */
const shown = (name: string): string =>
  name === "" ? "(empty name)" : name.slice(0, 64).replaceAll(/[^\x21-\x7e]/g, "?")

/**
 * The attributes of an event, taken in one after another. The first problem stays, so that the others can still be read;
 * that of `specversion` goes before all.
 */
export class Attributes {
  specversion: "1.0" | undefined = undefined
  id: string | undefined = undefined
  source: string | undefined = undefined
  type: string | undefined = undefined
  /** Epoch milliseconds. */
  time: number | undefined = undefined
  subject: string | undefined = undefined
  datacontenttype: string | undefined = undefined
  dataschema: string | undefined = undefined
  /** What `datacontenttype` says. */
  media: Syntax.MediaType | undefined = undefined
  readonly extensions: Record<string, string | number | boolean> = {}
  problem: Problem | undefined = undefined

  reject(attribute: string, description: string): void {
    if (this.problem === undefined || (attribute === "specversion" && this.problem.attribute !== "specversion")) {
      this.problem = new Problem(shown(attribute), description)
    }
  }

  /** A text that is not empty. */
  #text(name: string, value: unknown, before: unknown): string | undefined {
    if (before !== undefined) this.reject(name, "is given twice")
    else if (typeof value !== "string") this.reject(name, wrongType)
    else if (value === "") this.reject(name, "is empty")
    else if (!Syntax.isText(value)) this.reject(name, "contains characters that are not allowed")
    else return value
    return undefined
  }

  set(name: string, value: unknown): void {
    switch (name) {
      case "specversion":
        if (this.#text(name, value, this.specversion) === undefined) return
        if (value === "1.0") this.specversion = value
        else this.reject(name, "is not 1.0")
        return
      case "id":
        this.id = this.#text(name, value, this.id)
        return
      case "type":
        this.type = this.#text(name, value, this.type)
        return
      case "subject":
        this.subject = this.#text(name, value, this.subject)
        return
      case "source":
        this.source = this.#matching(name, value, this.source, Syntax.isUriReference, "is no URI-reference (RFC 3986)")
        return
      case "dataschema":
        this.dataschema = this.#matching(
          name,
          value,
          this.dataschema,
          Syntax.isAbsoluteUri,
          "is no absolute URI (RFC 3986, 4.3)"
        )
        return
      case "time": {
        const text = this.#text(name, value, this.time)
        if (text === undefined) return
        this.time = Syntax.parseTime(text)
        if (this.time === undefined) this.reject(name, "is no time of the years 0000 to 9999 (RFC 3339)")
        return
      }
      case "datacontenttype": {
        const text = this.#text(name, value, this.datacontenttype)
        if (text === undefined) return
        this.media = Syntax.parseMediaType(text)
        if (this.media === undefined) this.reject(name, "is no media type (RFC 2046)")
        else this.datacontenttype = text
        return
      }
      case "data":
        return this.reject(name, "is no attribute")
      default:
        return this.setExtension(name, value)
    }
  }

  #matching(
    name: string,
    value: unknown,
    before: unknown,
    matches: (text: string) => boolean,
    otherwise: string
  ): string | undefined {
    const text = this.#text(name, value, before)
    if (text === undefined || matches(text)) return text
    this.reject(name, otherwise)
    return undefined
  }

  /** A time that is no text. */
  setTime(millis: number): void {
    if (millis >= Syntax.earliest && millis <= Syntax.latest) this.time = millis
    else this.reject("time", "is not within the years 0000 to 9999")
  }

  setExtension(name: string, value: unknown): void {
    if (!Syntax.isName(name)) return this.reject(name, "is no name of an attribute: lower-case letters and digits")
    if (own.has(name)) return this.reject(name, "is no extension")
    if (Object.hasOwn(this.extensions, name)) return this.reject(name, "is given twice")
    const checked = this.#extension(name, value)
    if (checked !== undefined) this.extensions[name] = checked
  }

  #extension(name: string, value: unknown): string | number | boolean | undefined {
    switch (name) {
      case "traceparent":
        return this.#matching(name, value, undefined, Syntax.isTraceparent, "is no traceparent (W3C Trace Context)")
      case "tracestate":
        // The empty list is one that receivers must accept.
        if (value === "") return value
        return this.#matching(name, value, undefined, Syntax.isTracestate, "is no tracestate (W3C Trace Context)")
      case "partitionkey":
      case "sequence":
      case "sequencetype":
        return this.#text(name, value, undefined)
    }
    if (typeof value === "boolean") return value
    if (typeof value === "number") {
      // Without the sign of zero.
      if ((value | 0) === value) return value | 0
      this.reject(name, "is no whole number of 32 bits")
      return undefined
    }
    if (typeof value !== "string") this.reject(name, "is no text, whole number or truth value")
    else if (!Syntax.isText(value)) this.reject(name, "contains characters that are not allowed")
    else return value
    return undefined
  }

  /** Asks for the attributes that every event has. */
  complete(): Problem | undefined {
    if (this.problem?.attribute === "specversion") return this.problem
    if (this.specversion === undefined) this.reject("specversion", "is missing")
    else if (this.problem === undefined) {
      if (this.id === undefined) this.reject("id", "is missing")
      else if (this.source === undefined) this.reject("source", "is missing")
      else if (this.type === undefined) this.reject("type", "is missing")
    }
    return this.problem
  }
}
