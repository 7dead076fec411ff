// The box office on PostgreSQL alone: SKIP LOCKED, LISTEN and NOTIFY, and a row as a lease.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import pg from 'pg';

const { DATABASE_URL, PAYMENTS_URL, QUEUE_MAX, TICK_MS } = process.env;
const db = new pg.Pool({ connectionString: DATABASE_URL, max: 6 });
const one = async (sql, ...values) => (await db.query(sql, values)).rows[0];
const inOrder = async (what) => {
  const client = await db.connect();
  try {
    await client.query('BEGIN');
    const result = await what(async (sql, ...values) => (await client.query(sql, values)).rows[0]);
    await client.query('COMMIT');
    return result;
  } finally {
    client.release();
  }
};

// --- requests
const readAll = async (req) => Buffer.concat(await Array.fromAsync(req));
const routes = [
  ['POST', /^\/api\/login$/, login],
  ['GET', /^\/api\/me$/, me],
  ['PUT', /^\/api\/shows\/(\d+)\/poster$/, putPoster],
  ['GET', /^\/api\/shows\/(\d+)\/poster$/, getPoster],
  ['POST', /^\/api\/shows\/(\d+)\/bookings$/, book],
  ['GET', /^\/api\/shows\/(\d+)\/events$/, follow],
];
const say = (res, status, body, headers = {}) =>
  res.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers }).end(JSON.stringify(body));

async function login(req, res) {
  const { user } = JSON.parse(await readAll(req));
  const token = randomBytes(18).toString('hex');
  await one('INSERT INTO sessions VALUES ($1, $2)', token, user);
  say(res, 200, { user }, { 'set-cookie': `who=${token}; HttpOnly` });
}

async function me(req, res) {
  const token = (req.headers.cookie ?? '').split('=')[1] ?? '';
  const found = await one('SELECT name FROM sessions WHERE token = $1', token);
  say(res, found ? 200 : 401, found ? { user: found.name } : {});
}

async function putPoster(req, res, show) {
  const bytes = await readAll(req);
  await one('INSERT INTO posters VALUES ($1, $2, $3) ON CONFLICT (show) DO UPDATE SET type = $2, bytes = $3',
    show, req.headers['content-type'], bytes);
  res.writeHead(204).end();
}

async function getPoster(req, res, show) {
  const poster = await one('SELECT * FROM posters WHERE show = $1', show);
  if (poster) res.writeHead(200, { 'content-type': poster.type }).end(poster.bytes);
  else say(res, 404, {});
}

async function book(req, res, show) {
  const { seat, user } = JSON.parse(await readAll(req));
  const id = await inOrder(async (query) => {
    await query('SELECT pg_advisory_xact_lock(1)');
    const { waiting } = await query("SELECT count(*) AS waiting FROM bookings WHERE state = 'new'");
    if (Number(waiting) >= Number(QUEUE_MAX)) return 503;
    const made = await query(
      'INSERT INTO bookings (show, seat, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id', show, seat, user);
    await query("SELECT pg_notify('work', '')");
    return made ? String(made.id) : 409;
  });
  if (id === 503) say(res, 503, {}, { 'retry-after': new Date(Date.now() + 2000).toUTCString() });
  else say(res, id === 409 ? 409 : 202, { id });
}

// --- four hands
let idle = 4;
async function work() {
  if (idle === 0) return;
  idle -= 1;
  const job = await one(`UPDATE bookings SET state = 'at work' WHERE id = (
    SELECT id FROM bookings WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING *`);
  if (job) await charge(job);
  idle += 1;
  if (job) work();
}

async function charge({ id, show, seat, name }) {
  const said = { show_id: Number(show), seat, user: name };
  const body = JSON.stringify({ booking_id: String(id), ...said });
  await fetch(`${PAYMENTS_URL}/charges`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  await inOrder(async (query) => {
    await query('SELECT pg_advisory_xact_lock(2)');
    await query("UPDATE bookings SET state = 'done' WHERE id = $1", id);
    await query('INSERT INTO events SELECT coalesce(max(number), 0) + 1, $1, $2 FROM events',
      show, JSON.stringify({ status: 'confirmed', id: String(id), ...said }));
    await query("SELECT pg_notify('news', '')");
  });
}

// --- streams: each knows how far it is
const streams = new Set();
async function follow(req, res, show) {
  const last = req.headers['last-event-id'];
  const newest = await one('SELECT coalesce(max(number), 0) AS number FROM events');
  const stream = { res, show, last: Number(last ?? newest.number), turn: Promise.resolve() };
  res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' }).flushHeaders();
  streams.add(stream);
  req.on('close', () => streams.delete(stream));
  advance(stream);
}

function advance(stream) {
  stream.turn = stream.turn.then(async () => {
    const { rows } = await db.query('SELECT * FROM events WHERE show = $1 AND number > $2 ORDER BY number', [stream.show, stream.last]);
    for (const { number, data } of rows) {
      stream.res.write(`data: ${data}\n`);
      stream.res.write(`event: booking\nid: ${number}\n\n`);
      stream.last = Number(number);
    }
  });
}

// --- once among many
setInterval(async () => {
  const mine = await one(
    "UPDATE lease SET holder = $1, until = now() + interval '1 s' WHERE holder = $1 OR until < now() RETURNING holder", hostname());
  if (mine) await one('INSERT INTO ticks (by) VALUES ($1)', hostname());
}, Number(TICK_MS));

const ears = new pg.Client(DATABASE_URL);
await ears.connect();
ears.on('notification', ({ channel }) => {
  if (channel === 'work') for (let n = 0; n < 4; n += 1) work();
  else for (const stream of streams) advance(stream);
});
await ears.query('LISTEN work');
await ears.query('LISTEN news');

createServer(async (req, res) => {
  for (const [method, path, answer] of routes) {
    const match = method === req.method && path.exec(req.url.split('?')[0]);
    if (match) return answer(req, res, match[1]);
  }
  return say(res, 404, {});
}).listen(3000, '0.0.0.0');
// Also for what was told while all hands were looking.
setInterval(() => {
  for (let n = 0; n < 4; n += 1) work();
}, 200);
