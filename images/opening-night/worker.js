import { setTimeout as sleep } from 'node:timers/promises';
import { connectBroker, countMessages, openConsumer, publish } from './broker/broker.js';
import { pool } from './database.js';
import { log } from './log.js';
import { gauge, serveMetrics } from './metrics.js';
import { isReady, leave } from './ready.js';
import { takeStep } from './steps.js';

const AGAIN_MS = 300;
// A message that's unfinished after this long may be lost at the broker, so we send it again.
const LOST_AFTER = '15 seconds';

// Undefined until we're connected; /metrics may be read before that.
let broker;

const count = async (sql) => (await pool.query(sql)).rows[0].count;
gauge('outbox_waiting', 'Events that the broker does not have yet.',
  () => count('SELECT count(*) FROM events WHERE sent_at IS NULL').catch(() => NaN));
gauge('bookings_unfinished', 'Bookings with a step left to take.',
  () => count('SELECT count(*) FROM bookings WHERE todo IS NOT NULL').catch(() => NaN));
gauge('queue_messages', 'Messages in the broker that nobody has finished.', () => countMessages(broker).catch(() => NaN));

serveMetrics(isReady);

let stopping = false;
const inHand = new Set();
process.on('SIGTERM', async () => {
  stopping = true;
  leave();
  setTimeout(() => process.exit(1), 4000).unref();
  // We finish the messages in hand; the broker delivers the rest to another worker.
  await Promise.allSettled(inHand);
  process.exit();
});

broker = await connectBroker();
log('info', 'worker runs');
forever('outbox', 50, sendEvents);
forever('consumer', 200, receiveMessages);
forever('lost', 2000, () => pool.query(
  `UPDATE events SET sent_at = NULL FROM bookings
   WHERE bookings.id = booking_id AND todo IS NOT NULL AND sent_at < now() - interval '${LOST_AFTER}'`));

async function sendEvents() {
  const { rows } = await pool.query('SELECT * FROM events WHERE sent_at IS NULL ORDER BY id LIMIT 100');
  // If we're killed right after the publish, the event is sent again, which does no harm.
  for (const event of rows) {
    await publish(broker, event);
    await pool.query('UPDATE events SET sent_at = now() WHERE id = $1', [event.id]);
  }
}

async function receiveMessages() {
  const consumer = await openConsumer(broker);
  // Concurrently: a booking that waits for the company doesn't hold up the others.
  for await (const message of await consumer.consume({ max_messages: 100, abort_on_missing_resource: true })) {
    if (stopping) return;
    const work = receive(message).finally(() => inHand.delete(work));
    inHand.add(work);
  }
}

async function receive(message) {
  try {
    await takeStep(message.json().booking_id);
    // Last of all: if we're killed before this line, the broker delivers the message again.
    message.ack();
  } catch (error) {
    log('warn', 'a step failed', { error: error.message });
    message.nak(AGAIN_MS);
  }
}

async function forever(name, everyMs, work) {
  while (!stopping) {
    await work().catch((error) => log('warn', `${name} failed`, { error: error.message }));
    await sleep(everyMs);
  }
}
