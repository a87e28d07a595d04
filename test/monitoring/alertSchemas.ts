/** What PagerDuty and Slack accept, as they publish it. */
import { Ajv } from "ajv"

const text = (maxLength: number) => ({ type: "string", minLength: 1, maxLength })
const url = { type: "string", pattern: "^https?://[^\\s<>]+$" }

/**
 * Events API v2, https://events.pagerduty.com/v2/enqueue: the OpenAPI document of PagerDuty, with the lengths of its page
 * "Send an Alert Event", and nothing besides.
 */
const event = {
  type: "object",
  additionalProperties: false,
  required: ["routing_key", "event_action"],
  properties: {
    routing_key: { type: "string", minLength: 32, maxLength: 32 },
    event_action: { enum: ["trigger", "acknowledge", "resolve"] },
    dedup_key: text(255),
    client: { type: "string" },
    client_url: url,
    links: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["href"],
        properties: { href: url, text: { type: "string" } }
      }
    },
    images: { type: "array" },
    payload: {
      type: "object",
      additionalProperties: false,
      required: ["summary", "source", "severity"],
      properties: {
        summary: text(1024),
        source: { type: "string", minLength: 1 },
        severity: { enum: ["critical", "error", "warning", "info"] },
        timestamp: { type: "string", pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$" },
        component: { type: "string" },
        group: { type: "string" },
        class: { type: "string" },
        custom_details: { type: "object" }
      }
    }
  },
  allOf: [
    {
      if: { properties: { event_action: { const: "trigger" } } },
      then: { required: ["payload"] },
      else: { required: ["dedup_key"] }
    }
  ]
}

/** Only the escapes and the links of mrkdwn: `&`, `<` and `>` stand for nothing else. */
const escaped = "^(?:[^&<>]|&(?:amp|lt|gt);|<https?://[^\\s|<>]+\\|[^<>]+>|(?:^|\\n)>>> )*$"
const object = (type: string, maxLength: number, more: object) => ({
  type: "object",
  additionalProperties: false,
  required: ["type", "text"],
  properties: { type: { const: type }, text: { ...text(maxLength), pattern: escaped }, ...more }
})
const mrkdwn = (maxLength: number) => object("mrkdwn", maxLength, { verbatim: { type: "boolean" } })
const block = (type: string, required: ReadonlyArray<string>, properties: object) => ({
  type: "object",
  additionalProperties: false,
  required: ["type", ...required],
  properties: { type: { const: type }, ...properties }
})

/** Reference of Block Kit: at most 50 blocks, and the limits of header, section and context blocks. */
const message = {
  type: "object",
  additionalProperties: false,
  required: ["text", "blocks"],
  properties: {
    text: { ...text(4000), pattern: escaped },
    blocks: {
      type: "array",
      minItems: 1,
      maxItems: 50,
      items: {
        anyOf: [
          block("header", ["text"], { text: object("plain_text", 150, { emoji: { type: "boolean" } }) }),
          block("section", ["text"], { text: mrkdwn(3000) }),
          block("section", ["fields"], {
            fields: { type: "array", minItems: 1, maxItems: 10, items: mrkdwn(2000) }
          }),
          block("context", ["elements"], {
            elements: { type: "array", minItems: 1, maxItems: 10, items: mrkdwn(3000) }
          })
        ]
      }
    }
  }
}

const ajv = new Ajv({ allErrors: true, strict: true, strictRequired: false })
const check = (schema: object) => {
  const validate = ajv.compile(schema)
  return (given: unknown): ReadonlyArray<string> =>
    validate(given) ? [] : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`)
}

/** What is wrong with an event of PagerDuty. */
export const eventErrors = check(event)
/** What is wrong with a message of Slack. */
export const messageErrors = check(message)
