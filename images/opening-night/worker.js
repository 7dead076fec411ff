import { setTimeout as sleep } from 'node:timers/promises';
import { connectBroker, countMessages, openConsumer, publish } from './broker/broker.js';
import { pool } from './database.js';
import { log } from './log.js';
import { gauge, serveMetrics } from './metrics.js';
import { isReady, leave } from './ready.js';
import { takeStep } from './steps.js';

const AGAIN_MS = 300;
// What the broker has had that long, and nobody has finished, it may have lost.
const LOST_AFTER = '15 seconds';

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
  // What we have in hand is finished; what we haven't begun, the broker delivers to another.
  await Promise.allSettled(inHand);
  process.exit();
});

const broker = await connectBroker();
log('info', 'worker runs');
forever('outbox', 50, sendEvents);
forever('consumer', 200, receiveMessages);
forever('lost', 2000, () => pool.query(
  `UPDATE events SET sent_at = NULL FROM bookings
   WHERE bookings.id = booking_id AND todo IS NOT NULL AND sent_at < now() - interval '${LOST_AFTER}'`));

async function sendEvents() {
  const { rows } = await pool.query('SELECT * FROM events WHERE sent_at IS NULL ORDER BY id LIMIT 100');
  // Killed behind the publish, we send it once more.
  for (const event of rows) {
    await publish(broker, event);
    await pool.query('UPDATE events SET sent_at = now() WHERE id = $1', [event.id]);
  }
}

async function receiveMessages() {
  const consumer = await openConsumer(broker);
  // Side by side: a booking that waits for the company doesn't hold up the others.
  for await (const message of await consumer.consume({ max_messages: 100, abort_on_missing_resource: true })) {
    if (stopping) return;
    const work = receive(message).finally(() => inHand.delete(work));
    inHand.add(work);
  }
}

async function receive(message) {
  try {
    await takeStep(message.json().booking_id);
    // Only now: killed before this line, we get it again.
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
