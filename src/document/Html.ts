/**
 * The whole Integration Design Document as one page of HTML: the same content as `Markdown`, to be read in a browser or
 * printed.
 *
 * **Details**
 *
 * - One file: styles and drawings are in it, nothing is loaded from elsewhere, and there is no script.
 * - Light and dark as the reader's system has it. The source of each drawing in Mermaid is beside it.
 *
 * **Example** (Writing the page)
 *
 * ```ts
 * import { Integration } from "effect-integration"
 * import { Html } from "effect-integration/document"
 *
 * const design = Integration.make("orders-to-payments", { purpose: "Orders are charged when they are placed" })
 *
 * export const page = Html.render(design)
 * ```
 *
 * @since 0.1.0
 */
import type * as Integration from "../Integration.ts"
import { pagesOf } from "./internal/pages.ts"
import { toHtml } from "./internal/toHtml.ts"

/**
 * The document as a page of HTML.
 *
 * @category rendering
 * @since 0.1.0
 */
export const render = (design: Integration.Integration): string => toHtml(design.name, pagesOf(design))
