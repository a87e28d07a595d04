import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Option from "../../internal/option.ts"

/** A secret that was given, or that the configuration gives. What is wrong with it is told, and never what it is. */
export const secretOf = (
  where: string,
  option: string,
  given: Config.Config<Redacted.Redacted<string>> | Redacted.Redacted<string>,
  { expected, fits }: { readonly expected: string; readonly fits: (value: string) => boolean }
): Effect.Effect<Redacted.Redacted<string>, Config.ConfigError> => {
  if (!Config.isConfig(given)) {
    if (!fits(Redacted.value(given))) Option.reject(where, option, "<redacted>", expected)
    return Effect.succeed(given)
  }
  const config = given as Config.Config<Redacted.Redacted<string>>
  const message = `${where}: ${option} must be ${expected}`
  return Effect.filterOrFail(
    Effect.suspend(() => config),
    (secret) => fits(Redacted.value(secret)),
    () => new Config.ConfigError(new ConfigProvider.SourceError({ message }))
  )
}
