// The box office before the split: one program, and every table.
import { readFileSync } from 'node:fs';
import express from 'express';
import pg from 'pg';

const SEATS = 60;
const SHOW = `id, title, to_char(starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS starts_at, price_cents`;
const WITH_SEATS = `SELECT ${SHOW}, ${SEATS} - (SELECT count(*)::int FROM bookings WHERE show_id = shows.id) AS seats_free FROM shows`;

const pool = new pg.Pool({
  host: 'db', user: 'lantern', database: 'lantern',
  password: readFileSync(process.env.DB_PASSWORD_FILE, 'utf8').trim(),
});
pool.on('error', (error) => console.error(`database: ${error.message}`));

class Refusal extends Error {
  constructor(status, code) {
    super(code);
    this.status = status;
  }
}

const app = express();
app.use(express.json());

app.get('/api/shows', async (req, res) => {
  const { rows } = await pool.query(`${WITH_SEATS} ORDER BY shows.starts_at, id`);
  res.json({ shows: rows });
});

app.get('/api/shows/:id', async (req, res) => {
  const { rows } = await pool.query(`${WITH_SEATS} WHERE id = $1`, [number(req.params.id)]);
  if (!rows[0]) throw new Refusal(404, 'not_found');
  res.json(rows[0]);
});

app.put('/api/shows/:id', async (req, res) => {
  const { title, starts_at, price_cents } = req.body ?? {};
  const isShow = typeof title === 'string' && title.trim()
    && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(starts_at) && !Number.isNaN(Date.parse(starts_at))
    && Number.isInteger(price_cents) && price_cents > 0;
  if (!isShow) throw new Refusal(400, 'bad_show');
  const { rows } = await pool.query(
    `UPDATE shows SET title = $2, starts_at = $3, price_cents = $4 WHERE id = $1 RETURNING ${SHOW}`,
    [number(req.params.id), title, starts_at, price_cents]);
  if (!rows[0]) throw new Refusal(404, 'not_found');
  res.json(rows[0]);
});

app.post('/api/shows/:id/bookings', async (req, res) => {
  const { seat, user } = req.body ?? {};
  if (!/^[A-F](10|[1-9])$/.test(seat)) throw new Refusal(400, 'bad_seat');
  if (typeof user !== 'string' || !user) throw new Refusal(400, 'user_required');
  const { rows } = await pool.query(
    `WITH show AS (SELECT id, title, price_cents FROM shows WHERE id = $1),
     sold AS (INSERT INTO bookings (show_id, seat, user_name, price_cents)
       SELECT id, $2, $3, price_cents FROM show RETURNING *)
     SELECT sold.id, show_id, title, seat, user_name AS "user", status, sold.price_cents
     FROM sold JOIN show ON show.id = show_id`,
    [number(req.params.id), seat, user]);
  if (!rows[0]) throw new Refusal(404, 'not_found');
  res.status(201).json(rows[0]);
});

app.get('/api/bookings', async (req, res) => {
  if (!req.query.user) throw new Refusal(400, 'user_required');
  const { rows } = await pool.query(
    `SELECT bookings.id, show_id, title, seat, user_name AS "user", status, bookings.price_cents
     FROM bookings JOIN shows ON shows.id = show_id WHERE user_name = $1 ORDER BY booked_at, bookings.id`,
    [req.query.user]);
  res.json({ bookings: rows });
});

app.use((error, req, res, next) => {
  const [status, code] = error.constraint === 'sold_once' ? [409, 'seat_taken']
    : error.status ? [error.status, error instanceof Refusal ? error.message : 'bad_request']
    : [500, 'internal'];
  if (status >= 500) console.error(error.message);
  res.status(status).type('application/problem+json').send(JSON.stringify(
    { type: 'about:blank', title: code.replaceAll('_', ' '), status, code }));
});

app.listen(3000, (error) => {
  if (error) throw error;
  console.log('Server running');
});

// No show has a number of more digits than an integer of PostgreSQL.
function number(text) {
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : 0;
}
