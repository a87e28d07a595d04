import type * as Integration from "../../Integration.ts"
import * as Blocks from "./blocks.ts"

const { given, heading, table } = Blocks

/** Who signs, where the design does not say it. */
const roles = ["Author", "Consumer Team Lead", "Provider Team Lead", "Platform/Infra", "Approver"]

/** The last section, and what the team knows and accepts. */
export const approval = (design: Integration.Integration): ReadonlyArray<Blocks.Block> => {
  const approvals =
    design.approvals.length > 0 ? design.approvals : roles.map((role): Integration.Approval => ({ role }))
  return [
    heading(2, "Approval"),
    table(
      ["Role", "Name", "Date", "Signature"],
      approvals.map(({ date, name, role, signature }) => [role, given(name), given(date), given(signature)])
    ),
    ...(design.acknowledged.length === 0
      ? []
      : [
          heading(2, "Accepted Findings"),
          table(
            ["Finding", "Reason"],
            design.acknowledged.map(({ finding, reason }) => [[Blocks.code(finding)], reason])
          )
        ])
  ]
}
