import express from 'express';
import pg from 'pg';

// What a caller is told, by the name of the constraint that said no.
const REFUSALS = {
  sold_once: [409, 'seat_taken'],
  seat_exists: [400, 'bad_seat'],
};

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 50 });

class Refusal extends Error {
  constructor(status, code) {
    super(code);
    this.status = status;
  }
}

const app = express();
app.use(express.json());

app.get('/api/shows', async (req, res) => {
  const client = await connectFor(req);
  const { rows } = await client.query('SELECT id, title, price_cents, sold FROM shows ORDER BY id');
  client.release();
  res.json({ shows: rows });
});

app.post('/api/bookings', async (req, res) => {
  const client = await connectFor(req);
  await client.query('BEGIN');
  const booking = await book(client, req.body);
  await client.query('COMMIT');
  client.release();
  res.status(201).json(booking);
});

app.get('/api/report', async (req, res) => {
  const client = await connectFor(req);
  const { rows } = await client.query('SELECT shows::int, sold::int FROM report()');
  client.release();
  res.json(rows[0]);
});

// Express hands what a handler throws to this function.
app.use((error, req, res, next) => {
  const [status, code] = error instanceof Refusal ? [error.status, error.message]
    : REFUSALS[error.constraint] ?? [500, 'internal'];
  if (status >= 500) console.error(error);
  res.status(status).json({ error: code });
});

const server = app.listen(Number(process.env.PORT ?? 3000), (error) => {
  if (error) throw error;
  console.log('Server running');
});
process.on('SIGTERM', () => server.close(() => pool.end()));

// Return a connection that sees the rows of the caller's theatre.
async function connectFor(req) {
  const theatre = req.get('X-Theatre');
  if (!theatre) throw new Refusal(400, 'theatre_missing');
  const client = await pool.connect();
  await client.query(`SET app.theatre = '${theatre}'`);
  return client;
}

async function book(client, { show_id, seat, user }) {
  const shows = await client.query(
    'UPDATE shows SET sold = sold + 1 WHERE id = $1 RETURNING price_cents', [show_id]);
  if (shows.rowCount === 0) throw new Refusal(404, 'not_found');
  const { rows } = await client.query(
    'INSERT INTO bookings (show_id, seat, user_name) VALUES ($1, $2, $3) RETURNING id',
    [show_id, seat, user]);
  return { id: rows[0].id, show_id, seat, user, price_cents: shows.rows[0].price_cents };
}
