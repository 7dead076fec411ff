import express from 'express';

// This server sells tickets, and nobody can see how it is doing.
const { CATALOG_URL, PAYMENTS_URL } = process.env;
const port = Number(process.env.PORT ?? 3000);

const app = express();

app.get('/healthz', (req, res) => {
  res.json({ status: 'ok' });
});

app.get('/api/shows/:id', async (req, res) => {
  const reply = await call(`${CATALOG_URL}/shows/${encodeURIComponent(req.params.id)}`);
  if (reply?.status === 200) return res.json(await reply.json());
  if (reply?.status === 404) return res.status(404).json({ error: 'not_found' });
  res.status(502).json({ error: 'catalog_unavailable' });
});

app.post('/api/bookings', express.json(), async (req, res) => {
  const { show_id, seat, user } = req.body;
  const reply = await call(`${PAYMENTS_URL}/charges`, { show_id, seat, user });
  if (reply?.status === 201) return res.status(201).json({ show_id, seat, user, status: 'confirmed' });
  if (reply?.status === 402) return res.status(402).json({ error: 'payment_declined' });
  res.status(502).json({ error: 'payments_unavailable' });
});

app.get('/api/boom', () => {
  throw new Error('boom');
});

app.use((req, res) => {
  res.status(404).json({ error: 'not_found' });
});

app.use((error, req, res, next) => {
  if (res.headersSent) return next(error);
  res.status(error.status ?? 500).json({ error: 'internal' });
});

// Whatever goes wrong on the way is no reply.
async function call(url, value) {
  const options = value && {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value),
  };
  return fetch(url, options).catch(() => undefined);
}

app.listen(port, () => console.log(`listening on port ${port}`));
