import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Check from "../internal/option.ts"
import { durabilities, type GrpcService, type Topic } from "./Agreement.ts"
import { type Monitoring, severities } from "./Operation.ts"

/** What is said in an error. */
export const where = "Integration.make"

export const operations = (path: string, topic: Topic): void => {
  texts(path, topic, ["producer", "notes"])
  const { durability, eventsPerMinute, processes, replayHorizon } = topic
  if (durability !== undefined) Check.word(where, `${path}durability`, durability, durabilities)
  if (replayHorizon !== undefined) Check.millisOrZero(where, `${path}replayHorizon`, replayHorizon)
  if (eventsPerMinute !== undefined) Check.number(where, `${path}eventsPerMinute`, eventsPerMinute, { min: 0 })
  if (processes !== undefined) Check.number(where, `${path}processes`, processes, { min: 1, integer: true })
}

export const text = (option: string, given: unknown): void => {
  if (typeof given !== "string" || given.trim() === "") Check.reject(where, option, given, "a text that is not empty")
}

/** Texts that may be left out, but not be empty. */
export const texts = <const Name extends string>(
  path: string,
  given: { readonly [K in Name]?: unknown },
  names: ReadonlyArray<Name>
): void => {
  for (const name of names) if (given[name] !== undefined) text(`${path}${name}`, given[name])
}

export const date = (option: string, given: string): void => {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(given) || Option.isNone(DateTime.make(`${given}T00:00:00Z`))) {
    Check.reject(where, option, given, "a date such as 2026-11-23")
  }
}

export const unique = <A>(option: string, given: ReadonlyArray<A>, nameOf: (each: A) => string): void => {
  const seen = new Set<string>()
  for (const [at, each] of given.entries()) {
    const name = nameOf(each)
    if (seen.has(name)) Check.reject(where, `${option}[${at}]`, name, "a name of its own")
    seen.add(name)
  }
}

export const grpc = (at: string, { direction, messages, methods, name, service }: GrpcService): void => {
  const identifier = (option: string, given: string, pattern = /^[A-Za-z]\w*$/) => {
    if (!pattern.test(given)) Check.reject(where, option, given, "a name of a proto file")
  }
  text(`${at}.name`, name)
  identifier(`${at}.service`, service)
  if (direction !== undefined) texts(`${at}.direction.`, direction, ["from", "to"])
  for (const [index, method] of methods.entries()) {
    identifier(`${at}.methods[${index}].name`, method.name)
    for (const part of ["request", "response"] as const) {
      const message = method[part]
      if (!Object.hasOwn(messages, message) && !message.includes(".")) {
        Check.reject(where, `${at}.methods[${index}].${part}`, message, "one of the messages, or one of a package")
      }
      identifier(`${at}.methods[${index}].${part}`, message, typeName)
    }
  }
  for (const [message, fields] of Object.entries(messages)) {
    identifier(`${at}.messages`, message)
    for (const [index, field] of fields.entries()) {
      identifier(`${at}.messages.${message}[${index}].name`, field.name)
      identifier(`${at}.messages.${message}[${index}].type`, field.type, fieldType)
    }
  }
}
const typeName = /^[A-Za-z]\w*(\.[A-Za-z]\w*)*$/
const fieldType = /^((repeated|optional) )?(map<\w+, ?[\w.]+>|[A-Za-z]\w*(\.[A-Za-z]\w*)*)$/

export const monitoring = (given: Monitoring): void => {
  const { circuitOpen, deadLetters, errorRate, lag, latencyP99, outboxAge, probeFailed, sagaStuck } = given
  const at = "monitoring"
  if (outboxAge !== undefined) Check.millis(where, `${at}.outboxAge.limit`, outboxAge.limit)
  if (errorRate !== undefined) {
    Check.number(where, `${at}.errorRate.percent`, errorRate.percent, { min: 0, max: 100 })
    if (errorRate.for !== undefined) Check.millis(where, `${at}.errorRate.for`, errorRate.for)
  }
  if (latencyP99 !== undefined) {
    Check.millis(where, `${at}.latencyP99.limit`, latencyP99.limit)
    if (latencyP99.for !== undefined) Check.millis(where, `${at}.latencyP99.for`, latencyP99.for)
  }
  if (lag?.messages !== undefined) {
    Check.number(where, `${at}.lag.messages`, lag.messages, { min: 0, integer: true })
  }
  if (lag?.age !== undefined) Check.millis(where, `${at}.lag.age`, lag.age)
  const rules = { errorRate, latencyP99, lag, circuitOpen, deadLetters, outboxAge, probeFailed, sagaStuck }
  for (const [name, rule] of Object.entries(rules)) {
    if (rule?.severity !== undefined) Check.word(where, `${at}.${name}.severity`, rule.severity, severities)
  }
}
