import * as Option from "../../internal/option.ts"

/** A name as a key of components may be: letters, digits, dots, dashes and underscores. */
export const legalName = (name: string): string => name.replaceAll(/[^a-zA-Z0-9._-]/g, "_") || "_"

/** A legal name that is not taken. */
export const freeName = (name: string, taken: object): string => {
  const legal = legalName(name)
  let free = legal
  for (let suffix = 1; Object.hasOwn(taken, free); suffix++) free = `${legal}_${suffix}`
  return free
}

/** An address as anybody may read it: without user, password, query and fragment. `undefined` where it is none. */
export const publicUrl = (given: string | undefined): string | undefined => {
  if (given === undefined || !Option.isHttpUrl(given)) return undefined
  const { origin, pathname } = new URL(given)
  return `${origin}${pathname}`.replace(/\/$/, "")
}

/** A text as anybody may read it: addresses in it without user and password. */
export const publicText = (given: string): string => given.replaceAll(/\/\/[^/@\s]*@/g, "//")
