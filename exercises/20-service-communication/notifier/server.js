import { createServer } from 'node:http';
import amqp from 'amqplib';

const { MAIL_URL } = process.env;
const port = Number(process.env.PORT ?? 3000);

const connection = await amqp.connect(process.env.AMQP_URL);
const channel = await connection.createChannel();
await channel.assertExchange('lantern', 'topic', { durable: true });
await channel.assertQueue('notices');
await channel.bindQueue('notices', 'lantern', 'booking.created');
// The broker forgets a message as soon as it has sent it.
await channel.consume('notices', handle, { noAck: true });

async function handle(message) {
  const { message_id, user } = JSON.parse(message.content);
  await fetch(`${MAIL_URL}/mails`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ message_id, to: user }),
  });
}

createServer((req, res) => {
  res.writeHead(200, { 'Content-Type': 'application/json' }).end('{"status": "ok"}');
}).listen(port, () => console.log(`Server running on port ${port}`));

process.on('SIGTERM', () => process.exit(0));
