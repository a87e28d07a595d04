/**
 * Events (section 4 of the document): CloudEvents, channels, publishers, consumers, and what they need.
 *
 * @since 0.1.0
 */
export * as Broker from "./Broker.ts"
export * from "./BrokerError.ts"
export * as Channel from "./Channel.ts"
export * as CloudEvent from "./CloudEvent.ts"
export * as CloudEventHttp from "./CloudEventHttp.ts"
export * as CloudEventJson from "./CloudEventJson.ts"
export * as Codec from "./Codec.ts"
export * as Consumer from "./Consumer.ts"
export * as Consumers from "./Consumers.ts"
export { CurrentDelivery } from "./CurrentDelivery.ts"
export * as DeadLetters from "./DeadLetters.ts"
export * as DedupStore from "./DedupStore.ts"
export * as EventType from "./EventType.ts"
export * as MemoryBroker from "./MemoryBroker.ts"
export * as MemoryOutbox from "./MemoryOutbox.ts"
export * as Message from "./Message.ts"
export * as Ordering from "./Ordering.ts"
export * as Outbox from "./Outbox.ts"
export * as OutboxRelay from "./OutboxRelay.ts"
export * as Parking from "./Parking.ts"
export * as Publisher from "./Publisher.ts"
