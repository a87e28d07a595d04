import type * as Context from "effect/Context"
import type { CloudEvent } from "../CloudEvent.ts"
import type { Setup } from "./setup.ts"

/** Whether an event says that nobody in the business has caused it. In binary mode an extension is a text. */
export const isSynthetic = ({ extensions }: CloudEvent): boolean =>
  extensions["synthetic"] === true || extensions["synthetic"] === "true"

/** What the numbers of an event are recorded with: those of synthetic events are left out. */
export const recordedWith = (setup: Setup, event: CloudEvent): Context.Context<any> =>
  isSynthetic(event) ? setup.synthetic : setup.context
