/**
 * Events over RabbitMQ (section 4.2 of the document).
 *
 * @since 0.1.0
 */
export * as Queues from "./Queues.ts"
export * as RabbitMqBroker from "./RabbitMqBroker.ts"
