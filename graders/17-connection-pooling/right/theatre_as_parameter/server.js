// Functions of the database take the theatre as a parameter and do each request in one statement;
// node:http and a pool of promises around plain clients.
import { createServer } from 'node:http';
import pg from 'pg';

const MAX = Number(process.env.POOL_MAX);
const PATIENCE_MS = Number(process.env.POOL_TIMEOUT_MS);
const FUNCTIONS = `
  CREATE OR REPLACE FUNCTION in_theatre(name text) RETURNS void LANGUAGE sql AS
    $$ SELECT set_config('app.theatre', name, true) $$;
  CREATE OR REPLACE FUNCTION shows_of(theatre text) RETURNS json LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM in_theatre(theatre);
    RETURN (SELECT json_build_object('shows', coalesce(json_agg(s), '[]'))
      FROM (SELECT id, title, price_cents, sold FROM shows) AS s);
  END $$;
  CREATE OR REPLACE FUNCTION report_of(theatre text) RETURNS json LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM in_theatre(theatre);
    RETURN (SELECT row_to_json(r) FROM report() AS r);
  END $$;
  CREATE OR REPLACE FUNCTION book_in(theatre text, show integer, place text, buyer text)
  RETURNS json LANGUAGE plpgsql AS $$
  DECLARE price integer; number bigint;
  BEGIN
    PERFORM in_theatre(theatre);
    UPDATE shows SET sold = sold + 1 WHERE id = show RETURNING price_cents INTO price;
    IF NOT FOUND THEN RETURN NULL; END IF;
    INSERT INTO bookings (show_id, seat, user_name) VALUES (show, place, buyer)
      RETURNING id INTO number;
    RETURN json_build_object('id', number::text, 'show_id', show, 'seat', place, 'user', buyer,
      'price_cents', price);
  END $$;`;

const free = [];
const waiting = [];
let made = 0;

async function connect() {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL, connectionTimeoutMillis: PATIENCE_MS });
  made += 1;
  client.once('error', () => drop(client));
  client.once('end', () => drop(client));
  try {
    await client.connect();
  } catch (error) {
    drop(client);
    throw error;
  }
  return client;
}

function drop(client) {
  client.on('error', () => {});
  if (client.dropped) return;
  client.dropped = true;
  made -= 1;
  if (free.includes(client)) free.splice(free.indexOf(client), 1);
  client.connection.stream.destroy();
  if (waiting.length) waiting.shift()();
}

async function borrow() {
  while (!free.length && made >= MAX) await new Promise((resolve) => waiting.push(resolve));
  return free.pop() ?? connect();
}

function giveBack(client) {
  if (!client.dropped) free.push(client);
  if (waiting.length) waiting.shift()();
}

// One limit for both waits. Whoever got 503 no longer uses what comes late.
async function ask(statement, values) {
  let client, timer, isLate = false;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      isLate = true;
      if (client) drop(client);
      reject(new Error('late'));
    }, PATIENCE_MS);
  });
  const work = (async () => {
    client = await borrow();
    try {
      if (isLate) return undefined;
      return (await client.query(statement, values)).rows[0].reply;
    } finally {
      clearTimeout(timer);
      giveBack(client);
    }
  })();
  work.catch(() => clearTimeout(timer));
  return Promise.race([work, late]);
}

const setUp = await connect();
await setUp.query(`BEGIN; SELECT pg_advisory_xact_lock(1); ${FUNCTIONS} COMMIT`);
giveBack(setUp);

async function body(req) {
  const blocks = [];
  for await (const block of req) blocks.push(block);
  return JSON.parse(Buffer.concat(blocks));
}

async function answer(req) {
  const theatre = req.headers['x-theatre'];
  if (!theatre) return [400, { error: 'theatre_missing' }];
  const route = `${req.method} ${req.url}`;
  if (route === 'GET /api/shows') return [200, await ask('SELECT shows_of($1) AS reply', [theatre])];
  if (route === 'GET /api/report') return [200, await ask('SELECT report_of($1) AS reply', [theatre])];
  if (route !== 'POST /api/bookings') return [404, { error: 'not_found' }];
  const { show_id, seat, user } = await body(req);
  const made = await ask('SELECT book_in($1, $2, $3, $4) AS reply', [theatre, show_id, seat, user]);
  return made ? [201, made] : [404, { error: 'not_found' }];
}

createServer(async (req, res) => {
  const [status, reply] = await answer(req).catch((error) => {
    if (error.code === '23505') return [409, { error: 'seat_taken' }];
    if (error.code === '23514') return [400, { error: 'bad_seat' }];
    console.error(error.message);
    return [503, { error: 'database_busy' }];
  });
  res.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(reply));
}).listen(Number(process.env.PORT ?? 3000), '0.0.0.0');
