import http from 'node:http';
import { randomUUID } from 'node:crypto';
import { createClient } from 'redis';

const env = process.env;
let store;
let phase = 'serving';
let inFlight = 0;
const sockets = new Set();

function answer(res, status, value) {
  const body = JSON.stringify(value);
  res.statusCode = status;
  res.setHeader('content-type', 'application/json; charset=utf-8');
  res.setHeader('content-length', Buffer.byteLength(body));
  // Node writes "Connection: close" itself, and hangs up.
  if (phase !== 'serving') res.shouldKeepAlive = false;
  res.end(body);
}

async function read(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks));
}

async function book({ show_id, seat, user }) {
  const paid = await fetch(new URL('/charges', env.PAYMENTS_URL), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ show_id, seat, user }),
  });
  if (paid.status !== 201) throw new Error(`payment: ${paid.status}`);
  await paid.arrayBuffer();
  // Connected when the first booking needs it.
  store ??= createClient({ url: env.REDIS_URL }).connect();
  const id = randomUUID();
  await (await store).lPush(env.QUEUE, id);
  return { user, seat, show_id, status: 'confirmed', id };
}

async function sell(req, res) {
  const order = await read(req);
  // From here on the request is whole, and somebody waits for us.
  inFlight += 1;
  res.once('close', () => {
    inFlight -= 1;
    leaveIfDone();
  });
  answer(res, 201, await book(order));
}

const server = http.createServer((req, res) => {
  if (req.url === '/readyz') return answer(res, phase === 'serving' ? 200 : 503, phase);
  if (req.method !== 'POST' || req.url !== '/api/bookings') return answer(res, 404, {});
  sell(req, res).catch((error) => answer(res, 500, { error: error.message }));
});
server.on('connection', (socket) => {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
});
server.listen(env.PORT || 3000, '0.0.0.0');

async function leaveIfDone() {
  if (phase !== 'closed' || inFlight > 0) return;
  for (const socket of sockets) socket.end();
  if (store) await (await store).close();
  process.exit(0);
}

process.on('SIGTERM', () => {
  if (phase !== 'serving') process.exit(1);
  phase = 'draining';
  setTimeout(process.exit, env.SHUTDOWN_TIMEOUT_MS, 1);
  setTimeout(() => {
    phase = 'closed';
    server.close();
    leaveIfDone();
  }, env.DRAIN_MS);
});
