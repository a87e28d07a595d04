/**
 * How a contract proves who calls (section 3.1, Authentication): a bearer token, an API key, or OAuth2 client
 * credentials.
 *
 * **Details**
 *
 * - Key rotation: where several keys are given, the first is used until the provider refuses it (401), then the next, so
 *   that a new key can be deployed before the provider accepts it or after the old one ends.
 * - Client credentials (RFC 6749, 4.4): the token is fetched when it is first needed, by one request however many calls
 *   wait for it, and again before it expires, while calls still use the old one. A 401 discards a token only where it is
 *   still the current one. No refresh token is expected; `expires_in` is optional.
 *
 * Secrets are `Redacted` from configuration to the header, and appear in no error, log line or span.
 *
 * **Example** (OAuth2 client credentials)
 *
 * ```ts
 * import { Config } from "effect"
 * import { Authentication } from "effect-integration/http"
 *
 * export const authentication = Authentication.clientCredentials({
 *   tokenUrl: Config.URL("TOKEN_URL"),
 *   id: Config.String("CLIENT_ID"),
 *   secret: Config.Redacted("CLIENT_SECRET"),
 *   scope: ["charges:write"]
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Option from "../internal/option.ts"
import * as ErrorAction from "../policy/ErrorAction.ts"
import type * as Telemetry from "../Telemetry.ts"
import type { Authenticator, Credential } from "./internal/credential.ts"
import * as TokenSource from "./internal/tokenSource.ts"

/**
 * A secret, or where it is configured. Several stand for a rotation: the first that the provider accepts is used.
 *
 * @category models
 * @since 0.1.0
 */
export type Secret = Redacted.Redacted | Config.Config<Redacted.Redacted>

const actions = {
  refused: ErrorAction.make("fail", {
    circuit: "ignored",
    notify: "alert",
    guidance: "check the client's id, secret and scope"
  }),
  unavailable: ErrorAction.make("retry", {
    circuit: "ignored",
    outage: true,
    guidance: "the token endpoint is down: retry"
  }),
  malformed: ErrorAction.make("fail", { circuit: "ignored", notify: "alert", guidance: "ask the token's issuer" })
}

/**
 * No token could be had. `refused`: the endpoint does not accept the client; `unavailable`: no answer, or a 429 or 5xx;
 * `malformed`: an answer that is no token response.
 *
 * @category errors
 * @since 0.1.0
 */
export class AuthenticationFailed extends Schema.TaggedError<AuthenticationFailed>()("AuthenticationFailed", {
  integration: Schema.String,
  reason: Schema.Literals(["refused", "unavailable", "malformed"]),
  status: Schema.optionalKey(Schema.Int),
  /** What the endpoint said (RFC 6749, 5.2), or the system's code. */
  description: Schema.String,
  retryAfter: Schema.optionalKey(Schema.Duration)
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return actions[this.reason]
  }
  get outcome(): "unprocessed" {
    return "unprocessed"
  }
  override get message(): string {
    const status = this.status === undefined ? "" : ` (${this.status})`
    return `the token endpoint is ${this.reason}${status}: ${this.description}; nothing was sent`
  }
}

/** @category models @since 0.1.0 */
export type { Authenticator, Credential }

/**
 * A way to authenticate, as data for the document, and how it is set up.
 *
 * @category models
 * @since 0.1.0
 */
export interface Authentication<out E = never> {
  readonly kind: "bearer" | "apiKey" | "clientCredentials"
  readonly header: string
  /** Whether a 401 can be answered with other credentials. */
  readonly refreshable: boolean
  /** What the document says about it; no secrets. */
  readonly details: Readonly<Record<string, string>>
  readonly make: (options: {
    readonly integration: string
    readonly httpClient: HttpClient.HttpClient
    readonly recorder: Telemetry.Recorder
  }) => Effect.Effect<Authenticator<E>, Config.ConfigError, Scope.Scope>
}

const resolve = Effect.fnUntraced(function* <A>(value: A | Config.Config<A>): Effect.fn.Return<A, Config.ConfigError> {
  return Config.isConfig(value) ? yield* value as Config.Config<A> : (value as A)
})

const several = (given: Secret | ReadonlyArray<Secret>): ReadonlyArray<Secret> =>
  Array.isArray(given) ? given : [given as Secret]

const rotating = (
  kind: "bearer" | "apiKey",
  header: string,
  prefix: string,
  secrets: ReadonlyArray<Secret>
): Authentication => ({
  kind,
  header,
  refreshable: secrets.length > 1,
  details: secrets.length > 1 ? { rotation: `${secrets.length} keys overlap` } : {},
  make: Effect.fnUntraced(function* () {
    const values = yield* Effect.forEach(secrets, (each) => resolve<Redacted.Redacted>(each))
    const credentials = values.map((secret): Credential => ({
      header,
      value: Redacted.make(prefix + Redacted.value(secret))
    }))
    let current = 0
    return {
      credential: Effect.sync(() => credentials[current]!),
      refused: (credential) =>
        Effect.sync(() => {
          if (credential === credentials[current]) current = (current + 1) % credentials.length
          return credentials.length > 1
        })
    }
  })
})

const checked = (where: string, secrets: ReadonlyArray<Secret>): ReadonlyArray<Secret> =>
  secrets.length > 0 ? secrets : Option.reject(where, "secrets", secrets, "at least one secret")

/**
 * `Authorization: Bearer …` (RFC 6750), with a token that is configured.
 *
 * @category constructors
 * @since 0.1.0
 */
export const bearer = (token: Secret | ReadonlyArray<Secret>): Authentication =>
  rotating("bearer", "authorization", "Bearer ", checked("Authentication.bearer", several(token)))

/**
 * An API key in a header, `X-API-Key` by default.
 *
 * @category constructors
 * @since 0.1.0
 */
export const apiKey = (options: {
  readonly key: Secret | ReadonlyArray<Secret>
  readonly header?: string
}): Authentication => {
  const header = options.header ?? "x-api-key"
  if (!Option.isHeaderName(header)) {
    return Option.reject("Authentication.apiKey", "header", header, "a header name (RFC 9110, 5.1)")
  }
  return rotating("apiKey", header.toLowerCase(), "", checked("Authentication.apiKey", several(options.key)))
}

/**
 * @category models
 * @since 0.1.0
 */
export interface ClientCredentialsOptions {
  readonly tokenUrl: Config.Config<URL> | URL | string
  readonly id: Config.Config<string> | string
  /** Several stand for a rotation: the next is tried where the endpoint refuses the client. */
  readonly secret: Secret | ReadonlyArray<Secret>
  readonly scope?: ReadonlyArray<string>
  /** Sent as `audience`, which some issuers ask for. */
  readonly audience?: string
  /** How the client authenticates: HTTP Basic (default) or in the form (RFC 6749, 2.3.1). */
  readonly send?: "basic" | "form"
  /** How long before its expiry a token is fetched again. Default 30 seconds, at most a tenth of its lifetime. */
  readonly refreshBefore?: Duration.Input
  /** How long the endpoint may take. Default 10 seconds. */
  readonly timeout?: Duration.Input
}

/**
 * OAuth2 client credentials (RFC 6749, 4.4).
 *
 * @category constructors
 * @since 0.1.0
 */
export const clientCredentials = (options: ClientCredentialsOptions): Authentication<AuthenticationFailed> => {
  const where = "Authentication.clientCredentials"
  const secrets = checked(where, several(options.secret))
  const refreshBefore = Option.millisOrZero(where, "refreshBefore", options.refreshBefore ?? "30 seconds")
  const timeout = Option.millis(where, "timeout", options.timeout ?? "10 seconds")
  if (typeof options.tokenUrl === "string" && !Option.isHttpUrl(options.tokenUrl)) {
    return Option.reject(where, "tokenUrl", "<text>", "an absolute URL of http or https")
  }
  if (options.id === "") return Option.reject(where, "id", options.id, "an id that is not empty")
  return {
    kind: "clientCredentials",
    header: "authorization",
    refreshable: true,
    details: {
      ...(options.scope === undefined ? undefined : { scope: options.scope.join(" ") }),
      ...(options.audience === undefined ? undefined : { audience: options.audience }),
      "client authentication": options.send ?? "basic",
      "refresh before expiry": `${Duration.format(Duration.millis(refreshBefore))}, at most a tenth of its lifetime`
    },
    make: Effect.fnUntraced(function* (setup) {
      const given = yield* Effect.all([
        resolve<URL | string>(options.tokenUrl),
        resolve<string>(options.id),
        Effect.forEach(secrets, (each) => resolve<Redacted.Redacted>(each))
      ])
      return yield* TokenSource.make({
        ...setup,
        tokenUrl: given[0].toString(),
        id: given[1],
        secrets: given[2],
        scope: options.scope,
        audience: options.audience,
        form: options.send === "form",
        refreshBefore,
        timeout,
        failed: (failure) => new AuthenticationFailed({ integration: setup.integration, ...failure })
      })
    })
  }
}
