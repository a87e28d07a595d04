/** A collector of OTLP over HTTP, and the trees of the spans that it was sent. */
import { Effect, Latch, Layer, type Scope, Tracer } from "effect"
import * as http from "node:http"
import type * as net from "node:net"

interface Value {
  readonly stringValue?: string
  readonly intValue?: string | number
  readonly doubleValue?: number
  readonly boolValue?: boolean
}
interface KeyValue {
  readonly key: string
  readonly value: Value
}

export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: ReadonlyArray<KeyValue>
  readonly events: ReadonlyArray<{ readonly name: string; readonly attributes: ReadonlyArray<KeyValue> }>
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
  readonly status: { readonly code?: number; readonly message?: string }
}

interface Export {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: { readonly attributes: ReadonlyArray<KeyValue> }
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<Span> }>
  }>
}

export interface Collector {
  readonly url: string
  /** The bodies as they came, of all requests. */
  readonly bodies: ReadonlyArray<string>
  readonly types: ReadonlyArray<string>
  readonly spans: () => ReadonlyArray<Span>
  readonly resource: () => Readonly<Record<string, unknown>>
  readonly until: (holds: (spans: ReadonlyArray<Span>) => boolean) => Effect.Effect<void>
}

const plain = ({ boolValue, doubleValue, intValue, stringValue }: Value): unknown =>
  stringValue ?? (intValue === undefined ? undefined : Number(intValue)) ?? doubleValue ?? boolValue

export const record = (attributes: ReadonlyArray<KeyValue>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]))

/** Listens on loopback until the scope closes. */
export const collect: Effect.Effect<Collector, never, Scope.Scope> = Effect.gen(function* () {
  const bodies: Array<string> = []
  const types: Array<string> = []
  const spans: Array<Span> = []
  const arrived = Latch.makeUnsafe()
  let resource: Readonly<Record<string, unknown>> = {}
  const server = http.createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString("utf8")
      bodies.push(text)
      types.push(`${request.url} ${request.headers["content-type"]}`)
      if (request.headers["content-type"]?.includes("json") === true) {
        for (const each of (JSON.parse(text) as Export).resourceSpans) {
          resource = record(each.resource.attributes)
          spans.push(...each.scopeSpans.flatMap((scope) => scope.spans))
        }
      }
      response.writeHead(200, { "content-type": "application/json" }).end("{}")
      arrived.openUnsafe()
      arrived.closeUnsafe()
    })
  })
  yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
  yield* Effect.addFinalizer(() =>
    Effect.callback<void>((resume) => {
      server.close(() => resume(Effect.void))
      server.closeAllConnections()
    })
  )
  const until = (holds: (spans: ReadonlyArray<Span>) => boolean): Effect.Effect<void> =>
    Effect.suspend(() => (holds(spans) ? Effect.void : Effect.andThen(arrived.await, until(holds))))
  const url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
  return { url, bodies, types, spans: () => spans, resource: () => resource, until }
})

const kinds = ["?", "internal", "server", "client", "producer", "consumer"]

const byStart = (a: Span, b: Span): number =>
  Number(BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano)) || a.name.localeCompare(b.name)

/** The spans as lines: those below another are indented, in the order in which they began. */
export const tree = (
  spans: ReadonlyArray<Span>,
  line: (span: Span) => string = ({ kind, name }) => `${name} (${kinds[kind]})`
): ReadonlyArray<string> => {
  const ids = new Set(spans.map(({ spanId }) => spanId))
  const below = (parent: string | undefined, depth: number): ReadonlyArray<string> =>
    spans
      .filter(({ parentSpanId }) =>
        parent === undefined ? parentSpanId === undefined || !ids.has(parentSpanId) : parentSpanId === parent
      )
      .toSorted(byStart)
      .flatMap((span) => [
        `${"  ".repeat(depth)}${line(span)}${parent === undefined && span.parentSpanId ? " of a parent that is missing" : ""}`,
        ...below(span.spanId, depth + 1)
      ])
  return below(undefined, 0)
}

export const named = (spans: ReadonlyArray<Span>, name: string): ReadonlyArray<Span> =>
  spans.filter((span) => span.name === name).toSorted(byStart)

/** A tracer that remembers its spans. */
export const recording = (): { readonly spans: Array<Tracer.Span>; readonly layer: Layer.Layer<never> } => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, layer: Layer.succeed(Tracer.Tracer, tracer) }
}
