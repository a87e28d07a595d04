import * as Config from "effect/Config"
import type * as HttpPolicy from "../../http/HttpPolicy.ts"
import * as Idempotency from "../../http/Idempotency.ts"
import type * as Integration from "../../Integration.ts"

/** The headers of an idempotency key; none where the contract sends none. */
export const keyHeadersOf = ({ idempotent }: HttpPolicy.Any): ReadonlyArray<string> =>
  typeof idempotent === "object" ? idempotent.headers : idempotent === true ? Idempotency.defaultHeaders : []

/** The base URL without credentials and query; where it comes from where it is configured. */
export const baseUrlOf = ({ baseUrl, contract }: Integration.Contract): string => {
  const own = contract.contract.baseUrl
  if (baseUrl === undefined && Config.isConfig(own)) return "(base URL from the configuration)"
  const text = baseUrl ?? String(own)
  if (!URL.canParse(text)) return text
  const { origin, pathname } = new URL(text)
  return `${origin}${pathname}`.replace(/\/$/, "")
}

/** What stands in the header instead of the credentials. */
export const credentialOf = ({ authentication }: HttpPolicy.Any): string | undefined =>
  authentication === undefined
    ? undefined
    : authentication.kind === "apiKey"
      ? "(API key)"
      : authentication.kind === "bearer"
        ? "Bearer (token)"
        : "Bearer (access token)"

/** A header as it is usually written. */
export const headerName = (name: string): string =>
  name
    .split("-")
    .map((part) =>
      part.toLowerCase() === "id" || part.toLowerCase() === "api"
        ? part.toUpperCase()
        : `${part.slice(0, 1).toUpperCase()}${part.slice(1)}`
    )
    .join("-")
