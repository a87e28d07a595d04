/** What a saga of five steps must do, as one pure function, and every way that it can go. */
export const names = ["s1", "s2", "s3", "s4", "s5"] as const
export type Name = (typeof names)[number]

/** How one attempt goes. `effect` says whether it changes the world before it fails. */
export interface Try {
  readonly how: "ok" | "fail" | "timeout" | "defect" | "interrupt"
  readonly effect: boolean
  readonly kind?: "fail" | "retry" | "wait" | "skip" | "refresh"
  readonly outcome?: "unprocessed" | "unknown" | "processed"
  /** In units. */
  readonly retryAfter?: number
}

export type Verdict = "resume" | "skip" | "abandon"

/** The last try of each list is how it goes from then on; a step that is left out succeeds. */
export interface Plan {
  readonly irreversible: Name | undefined
  readonly isVoid: boolean
  readonly run: { readonly [K in Name]?: ReadonlyArray<Try> }
  readonly undo: { readonly [K in Name]?: ReadonlyArray<Try> }
  readonly decisions: ReadonlyArray<Verdict>
}

export const delays = [1, 3] as const
export const undoDelays = [2] as const
/** Of an attempt, in units. */
export const timeout = 5

export interface Prediction {
  /** Each attempt: what, which, what it was given, and after how many units. */
  readonly log: ReadonlyArray<{ readonly what: string; readonly at: number }>
  /** The effects on the world, each once however often it was made. */
  readonly effects: ReadonlyArray<string>
  readonly end: "Completed" | "RolledBack" | "Abandoned"
  readonly step: Name | undefined
  readonly phase: "run" | "compensate" | undefined
  readonly compensated: ReadonlyArray<Name>
  /** How many decisions of the plan were needed. */
  readonly decided: number
}

const ok: Try = { how: "ok", effect: true }
const nth = (tries: ReadonlyArray<Try> | undefined, number: number): Try =>
  tries === undefined ? ok : tries[Math.min(number, tries.length) - 1]!

export const tryOf = (plan: Plan, phase: "run" | "compensate", name: Name, number: number): Try =>
  nth(phase === "run" ? plan.run[name] : plan.undo[name], number)

type Ended = "done" | "failed" | "unprocessed" | "abandoned" | "skipped"

export const predict = (plan: Plan): Prediction => {
  const log: Array<{ what: string; at: number }> = []
  const effects: Array<string> = []
  let at = 0
  let decided = 0
  const decide = (): Verdict => plan.decisions[decided++] ?? "abandon"

  const attempt = (what: string, effect: string, given: Try): void => {
    log.push({ what, at })
    if (given.effect && !effects.includes(effect)) effects.push(effect)
    if (given.how === "timeout") at += timeout
  }

  const run = (name: Name, forward: boolean): Ended => {
    let failures = 0
    let mayHaveHappened = false
    for (let number = 1; ; number++) {
      const given = nth(plan.run[name], number)
      attempt(`run ${name} #${number}`, `run ${name}`, given)
      if (given.how === "ok" || (given.how === "fail" && given.kind === "skip" && plan.isVoid)) return "done"
      if (given.how !== "fail" || given.outcome !== "unprocessed") mayHaveHappened = true
      const isTransient = given.how !== "fail" || given.kind === "retry" || given.kind === "wait"
      const delay = delays[failures]
      if (isTransient && delay !== undefined) {
        at += Math.max(delay, given.retryAfter ?? 0)
        failures += 1
        continue
      }
      const mayRollBack = !forward && (plan.irreversible !== name || !mayHaveHappened)
      if (mayRollBack) return mayHaveHappened ? "failed" : "unprocessed"
      const verdict = decide()
      if (verdict === "abandon") return "abandoned"
      if (verdict === "skip") return "done"
      failures = 0
    }
  }

  const undo = (name: Name, known: boolean): Ended => {
    let failures = 0
    for (let number = 1; ; number++) {
      const given = nth(plan.undo[name], number)
      attempt(`undo ${name} #${number} ${known ? "known" : "unknown"}`, `undo ${name}`, given)
      if (given.how === "ok" || (given.how === "fail" && given.kind === "skip")) return "done"
      const delay = undoDelays[failures]
      if (delay !== undefined) {
        at += Math.max(delay, given.retryAfter ?? 0)
        failures += 1
        continue
      }
      const verdict = decide()
      if (verdict === "abandon") return "abandoned"
      if (verdict === "skip") return "skipped"
      failures = 0
    }
  }

  const done = (end: Prediction["end"], step?: Name, phase?: "run" | "compensate", compensated: Array<Name> = []) => ({
    log,
    effects,
    end,
    step,
    phase,
    compensated,
    decided
  })

  const toUndo: Array<{ name: Name; known: boolean }> = []
  let forward = false
  for (const name of names) {
    const ended = run(name, forward)
    if (ended === "abandoned") return done("Abandoned", name, "run")
    if (name === plan.irreversible) forward = true
    else if (ended !== "unprocessed") toUndo.push({ name, known: ended === "done" })
    if (ended === "done") continue
    const compensated: Array<Name> = []
    for (const each of toUndo.toReversed()) {
      const undone = undo(each.name, each.known)
      if (undone === "abandoned") return done("Abandoned", each.name, "compensate", compensated)
      if (undone === "done") compensated.push(each.name)
    }
    return done("RolledBack", name, undefined, compensated)
  }
  return done("Completed")
}

const outcomes = [undefined, "unprocessed", "unknown", "processed"] as const
const kinds = [undefined, "fail", "retry", "wait", "skip", "refresh"] as const

/** Every way in which one attempt can fail. */
export const failures: ReadonlyArray<Try> = [false, true].flatMap((effect): ReadonlyArray<Try> => [
  ...(["timeout", "defect", "interrupt"] as const).map((how) => ({ how, effect })),
  ...kinds.flatMap((kind) =>
    outcomes.map((outcome) => ({
      how: "fail" as const,
      effect,
      ...(kind === undefined ? undefined : { kind }),
      ...(outcome === undefined ? undefined : { outcome })
    }))
  ),
  { how: "fail", effect, kind: "wait", retryAfter: 7 },
  { how: "fail", effect, kind: "retry", retryAfter: 7, outcome: "unprocessed" }
])

const variants = [undefined, "s3", "s5"] as const

/** Each step fails in each way, once or always, and each decision is made where one is needed. */
const runs: ReadonlyArray<Plan> = variants.flatMap((irreversible) =>
  [false, true].flatMap((isVoid) =>
    names.flatMap((name) =>
      failures.flatMap((failure) =>
        [[failure, ok], [failure]].flatMap((tries) =>
          decisions({ irreversible, isVoid, run: { [name]: tries }, undo: {}, decisions: [] })
        )
      )
    )
  )
)

const undoing: ReadonlyArray<Try> = [
  { how: "fail", effect: false },
  { how: "fail", effect: true, kind: "fail", outcome: "unprocessed" },
  { how: "fail", effect: true, kind: "skip" },
  { how: "fail", effect: false, kind: "wait", retryAfter: 7 },
  { how: "timeout", effect: true },
  { how: "defect", effect: false },
  { how: "interrupt", effect: true }
]

/** Each step fails for good, and each compensation before it fails once, twice or always. */
const rollbacks: ReadonlyArray<Plan> = names.flatMap((failed, index) =>
  names.slice(0, index + 1).flatMap((undone) =>
    undoing.flatMap((failure) =>
      [[failure, ok], [failure, failure, ok], [failure]].flatMap((tries) =>
        decisions({
          irreversible: undefined,
          isVoid: false,
          run: { [failed]: [{ how: "fail", effect: true, kind: "fail" }] },
          undo: { [undone]: tries },
          decisions: []
        })
      )
    )
  )
)

/** The plan with each list of decisions that makes a difference. */
function decisions(plan: Plan): ReadonlyArray<Plan> {
  if (predict(plan).decided === 0) return [plan]
  const isSkippable = plan.isVoid || Object.keys(plan.undo).length > 0
  const lists: ReadonlyArray<ReadonlyArray<Verdict>> = [
    ["abandon"],
    ["resume", "abandon"],
    ...(isSkippable ? [["skip"] as const] : [])
  ]
  return lists.map((list) => ({ ...plan, decisions: list }))
}

export const plans: ReadonlyArray<Plan> = [
  { irreversible: undefined, isVoid: false, run: {}, undo: {}, decisions: [] },
  ...runs,
  ...rollbacks
]

const transient = failures.filter(({ how, kind }) => how !== "fail" || kind === "retry" || kind === "wait")

/** A step fails in one way, and when it is tried again in another, for good or not. */
export const mixed: ReadonlyArray<Plan> = variants.flatMap((irreversible) =>
  (["s2", "s5"] as const).flatMap((name) =>
    transient.flatMap((first) =>
      failures.flatMap((second) =>
        (irreversible === "s5" && name === "s5") || name === "s2"
          ? [{ irreversible, isVoid: false, run: { [name]: [first, second] }, undo: {}, decisions: [] }]
          : []
      )
    )
  )
)
