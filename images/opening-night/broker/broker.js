import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

const STREAM = 'LANTERN';
const CONSUMER = {
  // The broker keeps our position under this name, even while we aren't running.
  durable_name: 'worker',
  ack_policy: AckPolicy.Explicit,
  // In nanoseconds: after this long without an ack, a message is delivered again.
  ack_wait: 4_000_000_000,
  max_ack_pending: 200,
};

// Keeps trying for as long as it takes: the broker may be away now, or at any time later.
export const connectBroker = () => connect({
  servers: process.env.NATS_URL,
  waitOnFirstConnect: true,
  maxReconnectAttempts: -1,
  reconnectTimeWait: 200,
});

// The broker drops a message whose id it already has, so sending it twice does no harm.
export async function publish(broker, event) {
  await jetstream(broker, { timeout: 1000 }).publish(
    `booking.${event.state}`, JSON.stringify(event), { msgID: `event-${event.id}` });
}

// A broker that lost its disk has no stream. We create it, and the worker sends the messages again.
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
