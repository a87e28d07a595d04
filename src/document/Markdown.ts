/**
 * The whole Integration Design Document as Markdown, filled in from the value that runs.
 *
 * **Details**
 *
 * - The sections, tables, order and numbers are those of the template. What the design does not say is printed as
 *   "not given".
 * - Diagrams are in Mermaid, which GitHub draws.
 * - No credentials are printed: neither secrets, nor what comes from the configuration, nor the user of a URL.
 *
 * **Example** (Writing the document)
 *
 * ```ts
 * import { Integration } from "effect-integration"
 * import { Markdown } from "effect-integration/document"
 *
 * const design = Integration.make("orders-to-payments", { purpose: "Orders are charged when they are placed" })
 *
 * export const text = Markdown.render(design)
 * ```
 *
 * @since 0.1.0
 */
import type * as Integration from "../Integration.ts"
import { pagesOf } from "./internal/pages.ts"
import { toMarkdown } from "./internal/toMarkdown.ts"

/**
 * The document as Markdown, as GitHub renders it.
 *
 * @category rendering
 * @since 0.1.0
 */
export const render = (design: Integration.Integration): string => toMarkdown(pagesOf(design))
