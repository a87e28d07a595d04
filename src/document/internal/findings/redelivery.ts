import type * as Consumer from "../../../event/Consumer.ts"
import type * as Integration from "../../../Integration.ts"
import type * as Saga from "../../../saga/Saga.ts"
import * as Duration from "effect/Duration"
import * as WorstCase from "../../WorstCase.ts"
import { span } from "../span.ts"
import { calls, type ContractFacts, contractsOf, millisOf, topicOf } from "./facts.ts"
import type { Finding, Look } from "./finding.ts"

/** Retries of a contract inside the redelivery of a consumer or the retries of a saga. */
export const look: Look = (design) =>
  contractsOf(design).flatMap((contract) => [
    ...design.consumers.flatMap((consumer) =>
      calls(consumer.name, contract) ? [...multiplied(contract, consumer), ...handlerBudget(contract, consumer)] : []
    ),
    ...keyRetention(design, contract)
  ])

const multiplied = (contract: ContractFacts, consumer: Consumer.Any): ReadonlyArray<Finding> => {
  const { retry, maxRedeliveries } = consumer.options
  const inner = WorstCase.attempts(contract.options.retry, contract.refreshes)
  const outer = WorstCase.attempts(retry)
  if (WorstCase.attempts(contract.options.retry) === 1 || outer === 1) return []
  const { attempt, total } = contract.timeouts
  const call = WorstCase.callMillis(contract.options.retry, attempt, total)
  const millis = WorstCase.ladderMillis(retry, Math.min(call, Duration.toMillis(consumer.options.timeout)))
  return [
    {
      id: `retries-multiply/${consumer.name}/${contract.key}`,
      severity: "note",
      section: contract.section("Retry Policy"),
      subject: contract.key,
      message:
        `Each call in ${consumer.name} can be ${inner} x ${outer} = ${inner * outer} requests within ${span(millis)} for one event, ` +
        `and up to ${inner * WorstCase.handlings(retry, maxRedeliveries)} where processes die of it ` +
        `(${maxRedeliveries} redeliveries each).`,
      remedy: "Keep the retries of the contract few: the consumer comes again later, and pauses in an outage."
    }
  ]
}

const handlerBudget = (contract: ContractFacts, consumer: Consumer.Any): ReadonlyArray<Finding> => {
  const { attempt, total } = contract.timeouts
  const call = WorstCase.callMillis(contract.options.retry, attempt, total)
  const timeout = Duration.toMillis(consumer.options.timeout)
  if (call <= timeout) return []
  return [
    {
      id: `call-beyond-handler/${consumer.name}/${contract.key}`,
      severity: "warning",
      section: contract.section("Timeout Configuration"),
      subject: contract.key,
      message:
        `A call can take ${span(call)}, but the handlers of ${consumer.name} are stopped after ${span(timeout)}: ` +
        `its last retries are cut off, and an attempt of the event is spent.`,
      remedy: `Lower the total timeout below ${span(timeout)}, or allow the handlers more time. Where they do not call it, name its \`callers\`.`
    }
  ]
}

const keyRetention = (design: Integration.Integration, contract: ContractFacts): ReadonlyArray<Finding> => {
  if (!contract.isIdempotent) return []
  const { key } = contract
  const worst = neededBy(design, contract)
  const retention = millisOf(contract.given.keyRetention)
  const at = { section: contract.section("Retry Policy"), subject: key }
  if (retention === undefined) {
    return [
      {
        id: `key-retention-unknown/${key}`,
        severity: "note",
        ...at,
        message:
          `It is not said how long the provider remembers an idempotency key. It must be at least ${span(worst.millis)} ` +
          `(${worst.because}).`,
        remedy: "Ask the provider, and give `keyRetention`."
      }
    ]
  }
  if (retention >= worst.millis) return []
  return [
    {
      id: `key-retention-short/${key}`,
      severity: "error",
      ...at,
      message:
        `The provider remembers an idempotency key for ${span(retention)}, but the same request can come again after ` +
        `${span(worst.millis)} (${worst.because}): it would be done twice.`,
      remedy: "Ask for a longer retention, shorten the ladder, or replay no further back than the provider remembers."
    }
  ]
}

interface Need {
  readonly millis: number
  readonly because: string
}

const neededBy = (design: Integration.Integration, contract: ContractFacts): Need => {
  const { attempt, total } = contract.timeouts
  const call = WorstCase.callMillis(contract.options.retry, attempt, total)
  const needs: ReadonlyArray<Need> = [
    { millis: call, because: "the retries of one call" },
    ...design.consumers.filter(({ name }) => calls(name, contract)).map((each) => ofConsumer(design, each)),
    ...design.sagas.filter(({ name }) => calls(name, contract)).map((each) => ofSaga(design, each, call))
  ]
  return needs.reduce((worst, each) => (each.millis > worst.millis ? each : worst))
}

const ofConsumer = (design: Integration.Integration, consumer: Consumer.Any): Need => {
  const { channel, name, options } = consumer
  const ladder = WorstCase.redeliveryMillis(options.retry, Duration.toMillis(options.timeout))
  const topic = topicOf(design, channel.name)
  const replay = millisOf(topic?.replayHorizon ?? channel.deadLetters.maxAge)
  return replay === undefined
    ? { millis: ladder, because: `the ladder of ${name}; dead letters are kept without end, so a replay may be later` }
    : { millis: ladder + replay, because: `the ladder of ${name}, ${span(ladder)}, and replay, ${span(replay)}` }
}

const ofSaga = (design: Integration.Integration, saga: Saga.Any, call: number): Need => {
  const steps = saga.nodes.flatMap((node) =>
    node._tag === "Step" ? [node] : node._tag === "Parallel" ? node.steps : []
  )
  const ladders = steps.map(({ retry, timeout }) => WorstCase.ladderMillis(retry, millisOf(timeout) ?? call))
  const ladder = Math.max(0, ...ladders)
  const down = design.rto === undefined ? 0 : Duration.toMillis(design.rto)
  return {
    millis: ladder + down,
    because: `the retries of a step of ${saga.name}, ${span(ladder)}${down === 0 ? "" : `, and downtime, ${span(down)}`}`
  }
}
