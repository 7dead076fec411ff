import { randomUUID } from 'node:crypto';
import express from 'express';
import { createClient } from 'redis';

const { PAYMENTS_URL, REDIS_URL, QUEUE } = process.env;
const port = Number(process.env.PORT ?? 3000);

const redis = createClient({ url: REDIS_URL });
redis.on('error', (error) => console.error(`redis: ${error.message}`));
await redis.connect();

const app = express();

app.get('/readyz', (req, res) => {
  res.json({ ready: true });
});

app.post('/api/bookings', express.json(), async (req, res) => {
  const { show_id, seat, user } = req.body;
  await pay({ show_id, seat, user });
  const booking = { id: randomUUID(), show_id, seat, user, status: 'confirmed' };
  // The worker sends the mail that confirms it.
  await redis.rPush(QUEUE, booking.id);
  res.status(201).json(booking);
});

async function pay(charge) {
  const headers = { 'Content-Type': 'application/json' };
  const reply = await fetch(`${PAYMENTS_URL}/charges`, { method: 'POST', headers, body: JSON.stringify(charge) });
  if (!reply.ok) throw new Error(`the payment company answered ${reply.status}`);
}

app.listen(port, (error) => {
  if (error) throw error;
  console.log(`Server running on port ${port}`);
});
