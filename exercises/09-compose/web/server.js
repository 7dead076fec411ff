// The box office: it sells the seats that its database knows.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import pg from 'pg';

const instance = randomUUID();
const pool = new pg.Pool({
  host: process.env.DB_HOST ?? 'db',
  user: process.env.DB_USER ?? 'lantern',
  database: process.env.DB_NAME ?? 'lantern',
  password: password(),
  connectionTimeoutMillis: 3000,
});
pool.on('error', (error) => console.error(`database: ${error.message}`));

// The password itself, or better the name of a file that holds it.
function password() {
  const file = process.env.DB_PASSWORD_FILE;
  return file ? readFileSync(file, 'utf8').trim() : process.env.DB_PASSWORD;
}

const app = express();
app.use(express.json());

app.get('/healthz', async (req, res) => {
  await pool.query('SELECT 1');
  res.json({ status: 'ok' });
});

app.get('/api/instance', (req, res) => res.json({ instance }));

app.get('/api/shows', async (req, res) => {
  const { rows } = await pool.query('SELECT id, title FROM shows ORDER BY id');
  res.json({ shows: rows });
});

app.get('/api/shows/:id/bookings', async (req, res) => {
  const { rows } = await pool.query(
    'SELECT seat, user_name AS "user" FROM bookings WHERE show_id = $1 ORDER BY id', [req.params.id]);
  res.json({ bookings: rows });
});

app.post('/api/shows/:id/bookings', async (req, res) => {
  const { rows } = await pool.query(
    'INSERT INTO bookings (show_id, seat, user_name) VALUES ($1, $2, $3)'
    + ' RETURNING id::text, show_id, seat, user_name AS "user"',
    [req.params.id, req.body.seat, req.body.user]);
  res.status(201).json(rows[0]);
});

app.use((error, req, res, next) => {
  // PostgreSQL's codes: 23505 is a UNIQUE that said no, 23503 a show that is not there.
  const [status, code] = { 23505: [409, 'seat_taken'], 23503: [404, 'not_found'] }[error.code]
    ?? [503, 'database_away'];
  if (status === 503) console.error(error.message);
  res.status(status).json({ error: code });
});

try {
  await pool.query('SELECT count(*) FROM shows');
} catch (error) {
  console.error(`The box office can't open: ${error.message}`);
  process.exit(1);
}

// Like many programs, it's busy for a moment before it listens.
await sleep(1000);
const server = app.listen(Number(process.env.PORT ?? 3000), () => console.log('Server running'));
process.on('SIGTERM', () => server.close(() => pool.end()));
process.on('SIGTERM', () => server.closeIdleConnections());
