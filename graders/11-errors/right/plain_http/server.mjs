// Without packages: node:http on both sides, and one table of routes.
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';

const env = process.env;
const limit = +env.UPSTREAM_TIMEOUT_MS;
const shows = Object.fromEntries(JSON.parse(readFileSync(env.SHOWS_FILE ?? 'shows.json')).map((s) => [s.id, s]));
const mailOf = new Map();
const seats = new Set();
let number = 0;
const run = randomBytes(6).toString('hex');

const no = (status, name, extra = {}, cause = undefined) =>
  Object.assign(new Error(`refused with ${name}`, { cause }), { no: { status, name, ...extra } });

function ask(base, method, path, value) {
  return new Promise((resolve, reject) => {
    const body = value === undefined ? '' : JSON.stringify(value);
    const headers = body ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } : {};
    const call = http.request(new URL(path, base), { method, headers, agent: false }, (reply) => resolve({ call, reply }));
    call.on('error', reject);
    call.end(body);
  });
}

async function whole(reply) {
  const parts = [];
  for await (const part of reply) parts.push(part);
  return Buffer.concat(parts).toString();
}

// Runs the work; destroys what it has opened when the time is over.
async function inTime(work) {
  let open, timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => { reject(no(504, 'payments-slow')); open?.destroy(); }, limit);
  });
  try {
    const job = work((call) => { open = call; });
    job.catch(() => {});
    return await Promise.race([job, late]);
  } catch (error) {
    if (error.no) throw error;
    if (error.code === 'ECONNREFUSED') {
      const when = new Date(Date.now() + 90_000).toUTCString();
      throw no(503, 'payments-away', { headers: { 'Retry-After': when } }, error);
    }
    throw no(502, 'payments-broken', {}, error);
  } finally {
    clearTimeout(timer);
  }
}

async function charge(user, cents) {
  return inTime(async (opened) => {
    const { call, reply } = await ask(env.PAYMENTS_URL, 'POST', '/charges', { user, amount_cents: cents });
    opened(call);
    const text = await whole(reply);
    if (reply.statusCode === 402) throw no(402, 'payment-declined');
    if (reply.statusCode !== 201) throw no(502, 'payments-broken');
    const { id } = Object(JSON.parse(text));
    if (typeof id !== 'string') throw no(502, 'payments-broken');
    return id;
  });
}

const good = {
  show_id: (v) => Number.isInteger(v) && v > 0,
  seat: (v) => /^[A-F](10|[1-9])$/.test(v) && typeof v === 'string',
  user: (v) => typeof v === 'string' && /^[a-z]{2,20}$/.test(v),
  email: (v) => typeof v === 'string' && /^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(v),
};

async function book(req, res) {
  if (!/^\s*application\/json\s*(;|$)/i.test(req.headers['content-type'] ?? '')) throw no(415, 'json-only');
  let order;
  try { order = JSON.parse(await whole(req)); } catch { throw no(400, 'bad-json'); }
  const isObject = order !== null && typeof order === 'object' && !Array.isArray(order);
  const bad = isObject ? Object.keys(good).filter((k) => !good[k](order[k])).map((k) => `/${k}`) : [''];
  if (bad.length) throw no(422, 'invalid-booking', { errors: bad.reverse().map((pointer) => ({ pointer, detail: 'not as it should be' })) });
  const show = shows[order.show_id];
  if (!show) throw no(404, 'unknown-show');
  const place = `${show.id}:${order.seat}`;
  if (seats.has(place)) throw no(409, 'seat-taken');
  seats.add(place);
  try {
    const charge_id = await charge(order.user, show.price_cents);
    const id = `b ${(number += 1)}/${run}`;
    mailOf.set(id, order.email);
    res.writeHead(201, { 'content-type': 'application/json; charset=utf-8' });
    res.end(JSON.stringify({ charge_id, price_cents: show.price_cents, status: 'confirmed', user: order.user, seat: order.seat, show_id: show.id, id }));
  } catch (error) {
    seats.delete(place);
    throw error;
  }
}

async function ledger(req, res, url) {
  const { reply } = await inTime(async (opened) => {
    const found = await ask(env.PAYMENTS_URL, 'GET', `/ledger?month=${encodeURIComponent(url.searchParams.get('month') ?? '')}`);
    opened(found.call);
    if (found.reply.statusCode !== 200) throw no(502, 'payments-broken');
    return found;
  });
  // The length is passed on where there is one.
  const length = reply.headers['content-length'];
  res.writeHead(200, { 'content-type': 'application/x-ndjson', ...(length && { 'content-length': length }) });
  for await (const part of reply) res.write(part);
  res.end();
}

function remind(req, res, url, id) {
  const to = mailOf.get(id);
  if (!to) throw no(404, 'unknown-booking');
  res.writeHead(202).end();
  (async () => {
    try {
      const { reply } = await ask(env.MAIL_URL, 'POST', '/mails', { to, booking_id: id });
      reply.resume();
      if (reply.statusCode >= 300) throw new Error(`status ${reply.statusCode}`);
    } catch (error) {
      console.log(JSON.stringify({ booking_id: id, error: `${error}` }));
    }
  })();
}

async function boom() {
  await null;
  throw new TypeError(env.CANARY);
}

const routes = [
  [/^\/api\/bookings$/, 'POST', book],
  [/^\/api\/export$/, 'GET', ledger],
  [/^\/api\/remind\/([^/]+)$/, 'POST', remind],
  [/^\/api\/boom$/, 'GET', boom],
];

async function lead(req, res) {
  // Some libraries refuse a broken path like this, before any handler sees it.
  try { decodeURIComponent(req.url); } catch { return res.writeHead(400, { 'content-type': 'text/plain' }).end('400 Bad Request'); }
  const url = new URL(req.url, 'http://lantern');
  const found = routes.find(([path]) => path.test(url.pathname));
  if (!found) throw no(404, 'not-found');
  const [path, method, handle] = found;
  if (req.method !== method) throw no(405, 'method-not-allowed', { headers: { Allow: method } });
  await handle(req, res, url, decodeURIComponent(path.exec(url.pathname)[1] ?? ''));
}

http.createServer((req, res) => {
  lead(req, res).catch((error) => {
    const { status, name, headers = {}, ...more } = error.no ?? { status: 500, name: 'internal' };
    const instance = `/problems/${run}/${(number += 1)}`;
    const stack = [error.stack, error.cause?.stack].filter(Boolean).join('\n');
    if (status >= 500) process.stdout.write(`${JSON.stringify({ stack, instance })}\n`);
    if (res.headersSent) return res.socket.destroy();
    const title = name.replaceAll('-', ' ');
    const body = JSON.stringify({ ...more, instance, detail: `This was refused: ${title}.`, status, title, type: `/problems/${name}` });
    res.writeHead(status, { ...headers, 'Content-Type': 'application/problem+json', 'Content-Length': Buffer.byteLength(body) });
    res.end(body);
  });
}).listen(env.PORT ?? 3000, '0.0.0.0', () => console.log('open'));
process.on('SIGTERM', () => process.exit(0));
