import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Stream from "effect/Stream"

/**
 * A request whose body was read, for a handler that reads it again in whatever way, also behind a router that changes the
 * request on the way.
 */
export const make = (
  original: HttpServerRequest.HttpServerRequest,
  body: Uint8Array<ArrayBuffer>
): HttpServerRequest.HttpServerRequest => view(original, original, body)

/** Read from the first request, which remembers the body. */
const remembered: ReadonlySet<PropertyKey> = new Set(["text", "json", "arrayBuffer", "urlParamsBody"])

const view = (
  original: HttpServerRequest.HttpServerRequest,
  current: HttpServerRequest.HttpServerRequest,
  body: Uint8Array<ArrayBuffer>
): HttpServerRequest.HttpServerRequest =>
  new Proxy(current, {
    get: (target, name) => {
      if (remembered.has(name)) return Reflect.get(original, name, original)
      if (name === "stream") return Stream.make(body)
      if (name === "multipart" || name === "multipartStream") return parts(original, body)[name]
      if (name !== "modify") return Reflect.get(target, name, target)
      return (...args: Parameters<typeof target.modify>) => view(original, target.modify(...args), body)
    }
  })

const parts = (original: HttpServerRequest.HttpServerRequest, body: Uint8Array<ArrayBuffer>) =>
  HttpServerRequest.fromWeb(new Request("http://host", { method: "POST", headers: { ...original.headers }, body }))
