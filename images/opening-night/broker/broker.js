import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

const STREAM = 'LANTERN';
const CONSUMER = {
  // The broker remembers under this name how far we are, also while we don't run.
  durable_name: 'worker',
  ack_policy: AckPolicy.Explicit,
  // Nanoseconds until it delivers again what we had when we were killed.
  ack_wait: 4_000_000_000,
  max_ack_pending: 200,
};

// Waits for the broker as long as it takes: it may be away now, and at any time later.
export const connectBroker = () => connect({
  servers: process.env.NATS_URL,
  waitOnFirstConnect: true,
  maxReconnectAttempts: -1,
  reconnectTimeWait: 200,
});

// By its id the broker knows that it has a message, so sending it twice does no harm.
export async function publish(broker, event) {
  await jetstream(broker, { timeout: 1000 }).publish(
    `booking.${event.state}`, JSON.stringify(event), { msgID: `event-${event.id}` });
}

// A broker that lost its disk has no stream; what was in it is sent once more by the worker.
export async function openConsumer(broker) {
  const manager = await jetstreamManager(broker);
  await manager.streams.add({ name: STREAM, subjects: ['booking.*'] });
  await manager.consumers.add(STREAM, CONSUMER);
  return jetstream(broker).consumers.get(STREAM, CONSUMER.durable_name);
}

export async function countMessages(broker) {
  const { num_pending, num_ack_pending } = await (await jetstreamManager(broker, { timeout: 1000 }))
    .consumers.info(STREAM, CONSUMER.durable_name);
  return num_pending + num_ack_pending;
}
