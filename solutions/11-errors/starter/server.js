import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';

// This server works when all goes well.
const { PAYMENTS_URL, MAIL_URL, CANARY } = process.env;
const port = Number(process.env.PORT ?? 3000);
const list = JSON.parse(readFileSync(process.env.SHOWS_FILE ?? 'shows.json', 'utf8'));
const shows = new Map(list.map((show) => [show.id, show]));
const bookings = new Map();
const taken = new Set();

const app = express();

app.post('/api/bookings', express.json(), async (req, res) => {
  const { show_id, seat, user, email } = req.body;
  const { price_cents } = shows.get(show_id);
  // The seat is taken from now on, even while the payment is on its way.
  taken.add(`${show_id} ${seat}`);
  const charge = await pay(user, price_cents);
  const booking = {
    id: randomUUID(), show_id, seat, user, status: 'confirmed', price_cents, charge_id: charge.id,
  };
  bookings.set(booking.id, { ...booking, email });
  res.status(201).json(booking);
});

app.get('/api/export', async (req, res) => {
  const month = encodeURIComponent(req.query.month);
  const ledger = await fetch(`${PAYMENTS_URL}/ledger?month=${month}`);
  res.type('application/x-ndjson');
  Readable.fromWeb(ledger.body).pipe(res);
});

app.post('/api/remind/:id', (req, res) => {
  const booking = bookings.get(req.params.id);
  // Nobody waits for the mail.
  remind(booking);
  res.status(202).json({ reminding: booking.id });
});

app.get('/api/boom', async () => {
  await sleep(1);
  throw new Error(CANARY);
});

async function pay(user, amount_cents) {
  const reply = await postJson(`${PAYMENTS_URL}/charges`, { user, amount_cents });
  return reply.json();
}

async function remind(booking) {
  await postJson(`${MAIL_URL}/mails`, { to: booking.email, booking_id: booking.id });
}

function postJson(url, value) {
  const headers = { 'Content-Type': 'application/json' };
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(value) });
}

app.listen(port, (error) => {
  if (error) throw error;
  console.log(`Server running on port ${port}`);
});
