// The requests. What is remembered between them is the business of the five other files.
import express from 'express';
import { book, startCharging } from './bookings.js';
import { follow, startListening } from './events.js';
import { loadPoster, savePoster } from './posters.js';
import { openSession, userOf } from './sessions.js';
import { startTicking } from './ticker.js';

const port = Number(process.env.PORT ?? 3000);
const app = express();

app.post('/api/login', express.json(), async (req, res) => {
  const { user } = req.body;
  const token = await openSession(user);
  res.set('Set-Cookie', `session=${token}; Path=/; HttpOnly; SameSite=Lax`).json({ user });
});

app.get('/api/me', async (req, res) => {
  const [, token] = /(?:^|;\s*)session=([^;]+)/.exec(req.get('Cookie') ?? '') ?? [];
  const user = token && (await userOf(token));
  if (user) res.json({ user });
  else res.status(401).json({ error: 'not_logged_in' });
});

app.put('/api/shows/:id/poster', express.raw({ type: () => true, limit: '1mb' }), async (req, res) => {
  await savePoster(Number(req.params.id), req.get('Content-Type'), req.body);
  res.status(204).end();
});

app.get('/api/shows/:id/poster', async (req, res) => {
  const poster = await loadPoster(Number(req.params.id));
  if (poster) res.type(poster.type).send(poster.bytes);
  else res.status(404).json({ error: 'no_poster' });
});

app.get('/api/shows/:id/events', async (req, res) => {
  res.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' }).flushHeaders();
  await follow(Number(req.params.id), req.get('Last-Event-ID'), res);
});

app.post('/api/shows/:id/bookings', express.json(), async (req, res) => {
  const { seat, user } = req.body;
  const { id, refused } = await book(Number(req.params.id), seat, user);
  if (refused === 'full') res.status(503).set('Retry-After', '1');
  else res.status(refused ? 409 : 202);
  res.json(refused ? { error: refused } : { id, status: 'pending' });
});

await startListening();
app.listen(port, (error) => {
  if (error) throw error;
  console.log(`Server running on port ${port}`);
  startCharging();
  startTicking();
});
