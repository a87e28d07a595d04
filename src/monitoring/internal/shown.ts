/** A text of the design without who signs in at its URLs. */
export const withoutCredentials = (text: string): string => text.replaceAll(/(?<=[a-z]:\/\/)[^/\s?#"'<>]*@/gi, "")

/** As above, and without what follows the host: the path of a webhook is its secret. */
export const withoutPaths = (text: string): string =>
  withoutCredentials(text).replaceAll(/([a-z]:\/\/[^/\s?#]*)[/?#]\S*/gi, "$1")

/** A text that a template of Go prints as it is. */
export const inTemplate = (text: string): string => withoutCredentials(text).replaceAll("{{", '{{"{{"}}')
