// The catalog without a framework. It tells booking what changed, until booking has taken it.
import { createServer } from 'node:http';
import { setInterval } from 'node:timers/promises';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE });
pool.on('error', () => {});
const shaped = ({ id, title, starts_at, price_cents }) =>
  ({ price_cents, id, title, starts_at: starts_at.toISOString().replace('.000Z', 'Z') });

async function sold() {
  const reply = await fetch('http://booking:8000/sold', { signal: AbortSignal.timeout(200) }).catch(() => null);
  const counts = await reply?.json().catch(() => null);
  return counts && new Map(counts.map((count) => [count.show_id, count.sold]));
}

async function listed(rows) {
  const counts = await sold();
  return rows.map((row) => ({ ...shaped(row), seats_free: counts ? 60 - (counts.get(row.id) ?? 0) : null }));
}

function isShow({ title, starts_at, price_cents }) {
  return title && Number.isInteger(price_cents) && price_cents > 0 && /^\d{4}-.*T.*Z$/.test(starts_at);
}

async function answer(method, path, body) {
  if (path === '/ready') return [200, (await pool.query('SELECT 1')).rows];
  if (path === '/api/shows') {
    const { rows } = await pool.query('SELECT * FROM catalog.shows ORDER BY starts_at');
    return [200, { shows: await listed(rows) }];
  }
  const id = Number(path.split('/')[3]);
  if (method === 'GET') {
    const { rows } = await pool.query('SELECT * FROM catalog.shows WHERE id = $1', [id]);
    return rows.length ? [200, (await listed(rows))[0]] : [404, 'not_found'];
  }
  const told = JSON.parse(body);
  if (!isShow(told)) return [400, 'bad_show'];
  const { rows } = await pool.query(
    'UPDATE catalog.shows SET title = $1, starts_at = $2, price_cents = $3 WHERE id = $4 RETURNING *',
    [told.title, told.starts_at, told.price_cents, id]);
  return rows.length ? [200, shaped(rows[0])] : [404, 'not_found'];
}

createServer(async (req, res) => {
  let body = '';
  for await (const piece of req.setEncoding('utf8')) body += piece;
  const [status, told] = await answer(req.method, req.url.split('?')[0], body)
    .catch((error) => [500, error.message]);
  const isRefusal = typeof told === 'string';
  res.writeHead(status, { 'Content-Type': isRefusal ? 'application/problem+json' : 'application/json' });
  res.end(JSON.stringify(isRefusal ? { status, code: told } : told));
}).listen(8000);

// By id: what booking has taken of each show.
const taken = new Map();
for await (const _ of setInterval(300)) {
  try {
    const { rows } = await pool.query('SELECT * FROM catalog.shows');
    const news = rows.map(shaped).filter((show) => taken.get(show.id) !== JSON.stringify(show));
    if (!news.length) continue;
    const reply = await fetch('http://booking:8000/told', {
      method: 'POST', body: JSON.stringify(news), signal: AbortSignal.timeout(800),
    });
    if (reply.ok) for (const show of news) taken.set(show.id, JSON.stringify(show));
  } catch (error) {
    console.error(`booking: ${error.cause?.code ?? error.message}`);
  }
}
