import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { type Reading, Sampler } from "./samplers.ts"
import type { Definition } from "./series.ts"

/** Shows 1 while any circuit of an integration is not closed. Of circuits that nobody uses any more nothing is shown. */
export class Circuits {
  /** What has circuits, and what has left the closed state. Neither is kept alive. */
  readonly #there = new Set<WeakRef<object>>()
  readonly #open = new Set<WeakRef<object>>()
  readonly #definition: Definition
  readonly #context: Context.Context<never>
  #sampler: Sampler | undefined
  constructor(definition: Definition, context: Context.Context<never>) {
    this.#definition = definition
    this.#context = context
  }

  add(circuits: object): void {
    this.#there.add(new WeakRef(circuits))
    this.#show()
  }

  /** What is given says that it is closed again. */
  opened(circuit: object): () => void {
    const reference = new WeakRef(circuit)
    this.#open.add(reference)
    this.#show()
    return () => {
      this.#open.delete(reference)
      this.#show()
    }
  }

  #show(): void {
    this.#sampler ??= new Sampler(
      this.#context,
      Effect.sync(() => this.#read())
    )
    this.#sampler.show(this.#read())
  }
  #read(): ReadonlyArray<Reading> {
    for (const references of [this.#open, this.#there]) {
      for (const each of references) if (each.deref() === undefined) references.delete(each)
    }
    if (this.#open.size + this.#there.size === 0) return []
    return [{ ...this.#definition, value: this.#open.size > 0 ? 1 : 0 }]
  }
}
