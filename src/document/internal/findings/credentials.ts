import * as StatusTable from "../../../http/StatusTable.ts"
import { contractsOf } from "./facts.ts"
import type { Look } from "./finding.ts"

/** A 401 that says refresh, where nothing can be refreshed. */
export const look: Look = (design) =>
  contractsOf(design).flatMap(({ key, options, section }) => {
    const { authentication, errors } = options
    if (StatusTable.rowOf(errors, 401).action.kind !== "refresh" || authentication?.refreshable === true) return []
    return [
      {
        id: `refresh-without-credentials/${key}`,
        severity: "warning",
        section: section("Error Handling"),
        subject: key,
        message:
          authentication === undefined
            ? "The row 401 says to refresh the credentials and try once more, but the contract sends none: a 401 is final."
            : `The row 401 says to refresh the credentials and try once more, but there is one ${authentication.kind} ` +
              `credential only: a 401 is final.`,
        remedy:
          "Use client credentials, or two keys that overlap, or override the row with " +
          '`ErrorAction.make("fail", { notify: "alert" })`.'
      }
    ]
  })
