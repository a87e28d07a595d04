/**
 * The alerts of the design. Nobody is paged by a demo: whoever would be is told on the terminal and on the page.
 */
import { Console, Effect, Ref, Stream } from "effect"
import { Alert, AlertChannel, Alerts } from "effect-integration/monitoring"
import design from "../orders-to-payments/design.ts"

const names = design.alerts.flatMap(({ channels }) => channels)

export const layer = Alerts.layer(design, {
  channels: Object.fromEntries(names.map((name) => [name, AlertChannel.log]))
})

/** The latest alerts, as they fired and were over, the newest last. */
export const follow = Effect.fnUntraced(function* (most: number) {
  const { changes } = yield* Alerts.Alerts
  const latest = yield* Ref.make<ReadonlyArray<Alert.Alert>>([])
  const keep = (alert: Alert.Alert) => Ref.update(latest, (alerts) => [...alerts, alert].slice(-most))
  yield* Effect.forkScoped(Stream.runForEach(changes, keep), { startImmediately: true })
  return latest
})

/** Writes each alert as it fires and when it is over. */
export const tell = Effect.gen(function* () {
  const { changes } = yield* Alerts.Alerts
  const write = (alert: Alert.Alert) => Console.log(`${Alert.title(alert)}: ${alert.summary}`)
  yield* Effect.forkScoped(Stream.runForEach(changes, write), { startImmediately: true })
})
