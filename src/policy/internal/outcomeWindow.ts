/** How many steps a window slides in. */
export const slots = 10

/** Outcomes of one step of the window. */
export interface Slot {
  readonly slot: number
  readonly ok: number
  readonly failed: number
}

/** Outcomes by step of time: the present one and those before it that are still in the window. */
export interface Window extends Slot {
  readonly older: ReadonlyArray<Slot>
}

export const empty: Window = { slot: -Infinity, ok: 0, failed: 0, older: [] }

/** The window moved on to a slot: what has left it is dropped. An outcome never goes back in time. */
export const at = (window: Window, slot: number): Pick<Window, "slot" | "older"> => {
  if (slot <= window.slot) return window
  const kept = window.older.filter((each) => each.slot > slot - slots)
  if (window.slot > slot - slots) kept.push({ slot: window.slot, ok: window.ok, failed: window.failed })
  return { slot, older: kept }
}

export const sum = (window: Window): { readonly calls: number; readonly failed: number } => {
  let calls = window.ok + window.failed
  let failed = window.failed
  for (const each of window.older) {
    calls += each.ok + each.failed
    failed += each.failed
  }
  return { calls, failed }
}
