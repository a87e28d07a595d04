import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

/** The message of a check may quote the value, so only the name of the check is told. */
const format = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) =>
    issue._tag === "InvalidValue" || issue._tag === "Forbidden"
      ? "Expected a valid value"
      : SchemaIssue.defaultLeafHook(issue),
  checkHook: (issue) => {
    const { expected } = (issue.filter.annotations ?? {}) as { readonly expected?: unknown }
    return typeof expected === "string" ? `Expected ${expected}` : "Expected a value that passes its check"
  }
})

/** What does not fit a schema, and where it is first; never the values. */
export const describe = (
  error: Schema.SchemaError
): { readonly path: ReadonlyArray<string>; readonly description: string } => {
  const { issues } = format(error.issue)
  return {
    path: issues[0]?.path?.map((each) => String(Predicate.isObject(each) ? each.key : each).slice(0, 64)) ?? [],
    description: issues
      .slice(0, 5)
      .map((issue) => issue.message)
      .join("; ")
  }
}
