// Another design: the purchase is one statement, and one statement is a transaction.
import express from 'express';
import pg from 'pg';

const SEAT = /^[A-F]([1-9]|10)$/;
// What a caller is told, by the name of the constraint that said no.
const REFUSALS = {
  sold_once: [409, 'seat_taken'],
  never_overdrawn: [402, 'no_funds'],
};

const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  connectionTimeoutMillis: 1500,
  query_timeout: 1500,
});
// An idle connection that breaks is replaced by the pool; without a listener it would end us.
pool.on('error', (error) => console.error(`database: ${error.message}`));

class Refusal extends Error {
  constructor(status, code) {
    super(code);
    this.status = status;
  }
}

const app = express();
app.use(express.json());

// A database that was away is asked again after two seconds, and not by every request.
let restsUntil = 0;
app.use((req, res, next) => next(Date.now() < restsUntil ? new Refusal(503, 'database_away') : undefined));

app.post('/api/shows/:id/bookings', async (req, res) => {
  const { seat, user } = req.body ?? {};
  if (!SEAT.test(seat)) throw new Refusal(400, 'bad_seat');
  if (!/^\d{1,9}$/.test(req.params.id)) throw new Refusal(404, 'not_found');
  res.status(201).json(await book(req.params.id, seat, user));
});

app.get('/api/wallets/:user', async (req, res) => {
  const { rows } = await pool.query(
    'SELECT balance_cents FROM wallets WHERE user_name = $1', [req.params.user]);
  res.json(onlyRow(rows));
});

app.post('/api/wallets/:user/topup', async (req, res) => {
  const { rows } = await pool.query(
    'UPDATE wallets SET balance_cents = balance_cents + $2 WHERE user_name = $1 RETURNING balance_cents',
    [req.params.user, req.body?.cents]);
  res.json(onlyRow(rows));
});

// Express hands what a handler throws to this function.
app.use((error, req, res, next) => {
  const [status, code] = error instanceof Refusal ? [error.status, error.message]
    : REFUSALS[error.constraint] ?? (isAway(error) ? [503, 'database_away'] : [500, 'internal']);
  if (status >= 500) console.error(error);
  if (code === 'database_away' && !(error instanceof Refusal)) restsUntil = Date.now() + 2000;
  res.status(status).json({ error: code });
});

const server = app.listen(Number(process.env.PORT ?? 3000), (error) => {
  if (error) throw error;
  console.log('Server running');
});
process.on('SIGTERM', () => server.close(() => pool.end()));

const PURCHASE = `
WITH price AS (SELECT price_cents FROM shows WHERE id = $1),
paid AS (
  UPDATE wallets SET balance_cents = balance_cents - price_cents FROM price
  WHERE user_name = $3 RETURNING price_cents
)
INSERT INTO bookings (show_id, seat, user_name, price_cents)
SELECT $1, $2, $3, price_cents FROM paid
RETURNING id, show_id, seat, user_name AS "user", price_cents`;

async function book(showId, seat, user) {
  const { rows } = await pool.query(PURCHASE, [showId, seat, user]);
  return onlyRow(rows);
}

function onlyRow(rows) {
  if (rows.length === 0) throw new Refusal(404, 'not_found');
  return rows[0];
}

function isAway(error) {
  if (error instanceof Refusal) return false;
  // What is no answer of PostgreSQL is a lost connection or a timeout; 57P is its good-bye.
  return !(error instanceof pg.DatabaseError) || error.code.startsWith('57P');
}
