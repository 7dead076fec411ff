// Wrong: a database that says nothing is waited for without end.
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

app.post('/api/shows/:id/bookings', async (req, res) => {
  const { seat, user } = req.body ?? {};
  if (!SEAT.test(seat)) throw new Refusal(400, 'bad_seat');
  if (!/^\d{1,9}$/.test(req.params.id)) throw new Refusal(404, 'not_found');
  res.status(201).json(await inTransaction((client) => book(client, req.params.id, seat, user)));
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
  res.status(status).json({ error: code });
});

const server = app.listen(Number(process.env.PORT ?? 3000), (error) => {
  if (error) throw error;
  console.log('Server running');
});
process.on('SIGTERM', () => server.close(() => pool.end()));

async function book(client, showId, seat, user) {
  const shows = await client.query('SELECT price_cents FROM shows WHERE id = $1', [showId]);
  const { price_cents: price } = onlyRow(shows.rows);
  const paid = await client.query(
    'UPDATE wallets SET balance_cents = balance_cents - $2 WHERE user_name = $1', [user, price]);
  if (paid.rowCount === 0) throw new Refusal(404, 'not_found');
  const { rows } = await client.query(
    'INSERT INTO bookings (show_id, seat, user_name, price_cents) VALUES ($1, $2, $3, $4)'
    + ' RETURNING id, show_id, seat, user_name AS "user", price_cents',
    [showId, seat, user, price]);
  return rows[0];
}

async function inTransaction(work) {
  const client = await pool.connect();
  // A connection that breaks while it is ours says so here and in the query: once is enough.
  client.on('error', ignore);
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    client.release();
    return result;
  } catch (error) {
    // A connection that no longer answers is thrown away: its database undoes what is not committed.
    if (isAway(error)) client.release(true);
    else await client.query('ROLLBACK').then(() => client.release(), () => client.release(true));
    throw error;
  } finally {
    client.off('error', ignore);
  }
}

function ignore() {}

function onlyRow(rows) {
  if (rows.length === 0) throw new Refusal(404, 'not_found');
  return rows[0];
}

function isAway(error) {
  if (error instanceof Refusal) return false;
  // What is no answer of PostgreSQL is a lost connection or a timeout; 57P is its good-bye.
  return !(error instanceof pg.DatabaseError) || error.code.startsWith('57P');
}
