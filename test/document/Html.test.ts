import { assert, describe, it } from "@effect/vitest"
import design from "../../examples/orders-to-payments/design.ts"
import { Integration } from "../../src/index.ts"
import { Html, Markdown } from "../../src/document/index.ts"

const page = Html.render(design)
const textOf = (html: string): string =>
  html
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll(/\s+/g, " ")

describe("the page", () => {
  it("needs nothing else, and runs nothing", () => {
    assert.notMatch(page, /<(script|link|img|iframe|object|embed|base)\b/)
    assert.notMatch(page, /@import|url\(|\ssrc=|\son[a-z]+=/)
    assert.deepStrictEqual(
      Array.from(page.matchAll(/href="([^"]*)"/g), ([, href]) => href!).filter((href) => !href.startsWith("#")),
      []
    )
    assert.include(page, `content="default-src 'none'; style-src 'unsafe-inline'"`)
  })

  it("has a table of contents whose entries lead to headings", () => {
    const ids = new Set(Array.from(page.matchAll(/<h[1-4] id="([^"]+)"/g), ([, id]) => id))
    const targets = Array.from(page.matchAll(/href="#([^"]+)"/g), ([, id]) => id)
    assert.isAtLeast(new Set(targets).size, 20)
    for (const target of targets) assert.isTrue(ids.has(target), target)
    assert.include(page, ">4.4 Idempotency Strategy</a>")
  })

  it("draws the topology and each saga, with their sources beside them", () => {
    const drawings = page.match(/<svg [^]*?<\/svg>/g) ?? []
    assert.strictEqual(drawings.length, 2)
    const [topology, saga] = drawings.map(textOf)
    for (const text of [
      "Order Service",
      "Circuit Breaker",
      "orders.billing.dead",
      "PagerDuty Checkout",
      "Payments DB"
    ]) {
      assert.include(topology, text)
    }
    for (const text of ["place-order", "1. start", "4. charge the order", "opt: A step fails for good"]) {
      assert.include(saga, text)
    }
    assert.notMatch(drawings.join(""), /NaN|undefined|Infinity/)
    assert.strictEqual(page.match(/<summary>Mermaid source<\/summary>/g)?.length, 2)
    assert.include(textOf(page), 'C_SVC["Order Service"]')
  })

  it("is readable in light and dark, and on paper", () => {
    for (const text of ["prefers-color-scheme:dark", "@media print", 'name="viewport"']) assert.include(page, text)
  })

  it("says what the Markdown says", () => {
    const said = textOf(page)
    const cells = Markdown.render(design)
      .split("\n")
      .filter((line) => line.startsWith("| "))
      .flatMap((line) => line.slice(2, -2).split(" | "))
      .map((cell) => cell.replaceAll(/[\\`*]/g, "").replaceAll("&#36;", "$"))
    assert.isAbove(cells.length, 200)
    const plain = said.replaceAll(/\s+([,;:.)])/g, "$1").replaceAll(/\s/g, "")
    for (const cell of cells) assert.include(plain, cell.replaceAll(/\s+([,;:.)])/g, "$1").replaceAll(/\s/g, ""))
  })

  it("of a small design has what is not given", () => {
    const small = Html.render(Integration.make("small", {}))
    assert.include(small, `<span class="none">not given</span>`)
    assert.include(small, "<title>small</title>")
  })
})
