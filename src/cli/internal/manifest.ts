import { readFileSync } from "node:fs"

/** What the package says of itself, beside `src` and `dist`. */
const manifest = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
  readonly version: string
  readonly engines: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

export const { devDependencies, engines, peerDependencies, version } = manifest
