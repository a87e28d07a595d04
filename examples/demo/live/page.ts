/**
 * The live page: a file of HTML, one of CSS and one of JavaScript, all from here. The page asks for the state every second.
 */
import { Effect, FileSystem, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { Topology } from "effect-integration/document"
import design from "../../orders-to-payments/design.ts"

/** Nothing is loaded from elsewhere, and nothing else may be. */
const headers = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store"
}

const file = (name: string, contentType: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const text = yield* files.readFileString(`${import.meta.dirname}/${name}`)
    const filled = text.replaceAll("{{name}}", design.name).replace("{{topology}}", () => Topology.svg(design))
    return HttpServerResponse.text(filled, { contentType, headers })
  })

export const routes = <A>(state: Effect.Effect<A>) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const page = yield* file("page.html", "text/html; charset=utf-8")
      const style = yield* file("page.css", "text/css; charset=utf-8")
      const script = yield* file("page.js", "text/javascript; charset=utf-8")
      return Layer.mergeAll(
        HttpRouter.add("GET", "/", page),
        HttpRouter.add("GET", "/page.css", style),
        HttpRouter.add("GET", "/page.js", script),
        HttpRouter.add(
          "GET",
          "/state",
          Effect.map(state, (now) => HttpServerResponse.jsonUnsafe(now, { headers }))
        )
      )
    })
  )
