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

export const add = (window: Window, slot: number, failed: boolean): Window => {
  // An outcome never goes back in time: a slot before the present one counts in the present one.
  if (slot <= window.slot) {
    return failed
      ? { slot: window.slot, ok: window.ok, failed: window.failed + 1, older: window.older }
      : { slot: window.slot, ok: window.ok + 1, failed: window.failed, older: window.older }
  }
  const { failed: failures, ok, older, slot: last } = window
  const kept = older.filter((each) => each.slot > slot - slots)
  if (last > slot - slots) kept.push({ slot: last, ok, failed: failures })
  return { slot, ok: failed ? 0 : 1, failed: failed ? 1 : 0, older: kept }
}

export const sum = (window: Window): { readonly calls: number; readonly failed: number } => {
  let calls = window.ok + window.failed
  let failed = window.failed
  for (const each of window.older) {
    if (each.slot <= window.slot - slots) continue
    calls += each.ok + each.failed
    failed += each.failed
  }
  return { calls, failed }
}
