import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';

const { PAYMENTS_URL, LOGIN_PASSWORD, CANARY } = process.env;
const port = Number(process.env.PORT ?? 3000);
const shows = JSON.parse(readFileSync(process.env.SHOWS_FILE ?? 'shows.json', 'utf8'));

const app = express();

app.get('/healthz', (req, res) => res.json({ ok: true }));

app.use((req, res, next) => {
  console.log(`${new Date()} ${req.method} ${req.originalUrl}`);
  next();
});

app.get('/api/shows/:id', (req, res) => {
  const show = shows.find(({ id }) => String(id) === req.params.id);
  if (!show) return refuse(res, 404, 'unknown-show');
  res.json(show);
});

const readObject = [express.json(), objectOnly];

app.post('/api/login', readObject, (req, res) => {
  const { user, password } = req.body;
  console.log(`login of ${user} with ${password}`);
  if (!LOGIN_PASSWORD || password !== LOGIN_PASSWORD) return refuse(res, 401, 'wrong-password');
  const token = randomUUID();
  res.cookie('session', token, { httpOnly: true }).json({ token });
});

app.post('/api/bookings', readObject, async (req, res) => {
  console.log('booking', req.body);
  const charge = await pay(req.body);
  if (!charge) return refuse(res, 402, 'payment-declined');
  const { seat, user } = req.body;
  res.status(201).json({ seat, user, charge_id: charge.id });
});

app.get('/api/boom', async () => {
  await sleep(1);
  throw new Error(CANARY);
});

app.use((req, res) => refuse(res, 404, 'not-found'));

app.use((error, req, res, next) => {
  console.log(error);
  if (res.headersSent) return res.destroy();
  if (error.status >= 400 && error.status < 500) return refuse(res, error.status, 'bad-request');
  refuse(res, error instanceof PaymentError ? 502 : 500, 'internal');
});

class PaymentError extends Error {}

async function pay(order) {
  let status, text;
  try {
    const reply = await fetch(`${PAYMENTS_URL}/charges`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(order),
      signal: AbortSignal.timeout(60_000),
    });
    status = reply.status;
    text = await reply.text();
  } catch (cause) {
    throw new PaymentError(`no answer from the payment company: ${cause}`, { cause });
  }
  if (status === 402) return undefined;
  const charge = status === 201 ? parsed(text) : undefined;
  if (typeof charge?.id !== 'string') {
    throw new PaymentError(`the payment company answered ${status}: ${text.slice(0, 200)}`);
  }
  console.log('paid', charge.id);
  return charge;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function objectOnly(req, res, next) {
  if (typeof req.body === 'object' && !Array.isArray(req.body)) return next();
  refuse(res, 400, 'no-object');
}

function refuse(res, status, name) {
  const problem = { type: `/problems/${name}`, title: name.replaceAll('-', ' '), status };
  res.status(status).type('application/problem+json').send(JSON.stringify(problem));
}

const server = app.listen(port, (error) => {
  if (error) throw error;
  console.log(`Server running on port ${port}`);
});

process.on('SIGTERM', () => server.close());
