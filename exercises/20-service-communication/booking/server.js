import { randomUUID } from 'node:crypto';
import amqp from 'amqplib';
import express from 'express';
import { priceOf } from './pricing.js';

const port = Number(process.env.PORT ?? 3000);
const connection = await amqp.connect(process.env.AMQP_URL);
const channel = await connection.createChannel();
await channel.assertExchange('lantern', 'topic', { durable: true });

const app = express();

app.post('/api/bookings', express.json(), async (req, res) => {
  const { show_id, seat, user } = req.body;
  const price_cents = await priceOf(show_id, seat);
  const booking = { id: randomUUID(), show_id, seat, user, status: 'confirmed', price_cents };
  publish('booking.created', { message_id: randomUUID(), booking_id: booking.id, user });
  res.status(201).json(booking);
});

function publish(key, message) {
  channel.publish('lantern', key, Buffer.from(JSON.stringify(message)));
}

app.listen(port, () => console.log(`Server running on port ${port}`));
process.on('SIGTERM', () => process.exit(0));
