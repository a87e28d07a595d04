/**
 * The parser of Mermaid, without a browser.
 */
import DOMPurify from "dompurify"
import { Effect } from "effect"
import mermaid from "mermaid"

// Where there is no DOM it has no functions, and Mermaid calls them for the labels of flowcharts.
Object.assign(DOMPurify, { addHook: () => {}, sanitize: (text: string) => text })

/** The kind of a diagram. Dies where the parser refuses it. */
export const kindOf = (source: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => mermaid.parse(source)),
    ({ diagramType }) => diagramType
  )
