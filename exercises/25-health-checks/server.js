// The box office. Two things run in this process: a server, and a loop that does a job.
import { setTimeout as pause } from 'node:timers/promises';
import express from 'express';
import pg from 'pg';
import { addHealth } from './health.js';
import { Redis } from './redis.js';

const { DATABASE_URL, REDIS_URL, PORT = '3000', WARMUP_MS = '0', JOB_MS = '10' } = process.env;
const ROUND_MS = 200;
const HOLD_MS = 2000;
// Redis only makes it faster: nobody waits long for it.
const REDIS_PATIENCE_MS = 200;

const database = new pg.Pool({
  connectionString: DATABASE_URL, max: 4, connectionTimeoutMillis: 2000, query_timeout: 2000,
});
database.on('error', (error) => console.error(`database: ${error.message}`));
const redis = new Redis(REDIS_URL);

const app = express();
// Your part: the three probes. What comes back is told how the process is doing.
const health = addHealth(app);

app.get('/api/shows', async (req, res) => {
  const kept = await soon(redis.get('shows'));
  if (kept) return res.type('json').send(kept);
  const { rows } = await database.query('SELECT id, title FROM shows ORDER BY id');
  const shows = JSON.stringify({ shows: rows });
  await soon(redis.set('shows', shows, 1));
  res.type('json').send(shows);
});

// Seats that somebody holds while paying.
const holds = new Map();

app.post('/api/holds/:seat', (req, res) => {
  const isFree = !holds.has(req.params.seat);
  if (isFree) holds.set(req.params.seat, Date.now() + HOLD_MS);
  res.sendStatus(isFree ? 201 : 409);
});

// For trying things out: the loop stops for ever, and the server carries on.
let isWedged = false;

app.post('/debug/wedge', (req, res) => {
  isWedged = true;
  res.sendStatus(204);
});

app.use((error, req, res, next) => {
  console.error(`${req.method} ${req.path}: ${error.message}`);
  res.status(503).json({ error: 'unavailable' });
});

app.listen(Number(PORT), (error) => {
  if (error) throw error;
  console.log('Server running');
});
process.on('SIGTERM', () => process.exit(0));

await pause(Number(WARMUP_MS));
health.started();
while (true) {
  await pause(ROUND_MS);
  await freeSeats();
  if (isWedged) await new Promise(() => {});
  health.roundDone();
}

// The job: a seat that was held and not paid for becomes free.
async function freeSeats() {
  // So long its partners take to answer.
  await pause(Number(JOB_MS));
  for (const [seat, until] of holds) {
    if (until < Date.now()) holds.delete(seat);
  }
}

async function soon(reply) {
  return Promise.race([reply.catch(() => undefined), pause(REDIS_PATIENCE_MS)]);
}
