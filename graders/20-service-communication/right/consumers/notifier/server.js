// The notifier as ten consumers that take one message each; the broker moves the dead letters.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import amqp from 'amqplib';

const { AMQP_URL, MAIL_URL, MAIL_TIMEOUT_MS = '5000', PORT = '3000' } = process.env;

const connection = await amqp.connect(AMQP_URL);
const setup = await connection.createChannel();
await setup.assertExchange('lantern', 'topic', { durable: true });
await setup.assertQueue('notices.dead', { durable: true });
await setup.assertQueue('notices', {
  durable: true,
  deadLetterExchange: '',
  deadLetterRoutingKey: 'notices.dead',
});
await setup.bindQueue('notices', 'lantern', 'booking.created');

async function consume() {
  const channel = await connection.createChannel();
  await channel.prefetch(1);
  await channel.consume('notices', async (message) => {
    try {
      await mail(JSON.parse(message.content));
      channel.ack(message);
    } catch {
      channel.nack(message, false, false);
    }
  });
}

async function mail({ message_id, user }, tries = 3) {
  const reply = await fetch(`${MAIL_URL}/mails`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ message_id, to: user }),
    signal: AbortSignal.timeout(Number(MAIL_TIMEOUT_MS)),
  }).catch(() => ({ ok: false }));
  if (reply.ok) return;
  if (tries === 1) throw new Error(`no mail for ${message_id}`);
  await sleep(200);
  await mail({ message_id, user }, tries - 1);
}

for (let count = 0; count < 10; count += 1) await consume();
createServer((req, res) => res.end('ok')).listen(Number(PORT));
process.on('SIGTERM', () => process.exit(0));
