// Booking in plain Node: connections to pricing are kept, and everything is in one file.
import { randomUUID } from 'node:crypto';
import { Agent, createServer, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import amqp from 'amqplib';

const { AMQP_URL, PRICING_URL } = process.env;
const setting = (name, usual) => Number(process.env[name] ?? usual);
const callTimeoutMs = setting('CALL_TIMEOUT_MS', 500);
const retryPauseMs = setting('RETRY_PAUSE_MS', 100);
const breakerFailures = setting('BREAKER_FAILURES', 5);
const breakerOpenMs = setting('BREAKER_OPEN_MS', 10000);
const agent = new Agent({ keepAlive: true });

const connection = await amqp.connect(AMQP_URL);
const channel = await connection.createConfirmChannel();
await channel.assertExchange('lantern', 'topic', { durable: true });
const publish = promisify(channel.publish).bind(channel);

// The circuit is closed, open until some moment, or waits for its probe.
const circuit = { state: 'closed', row: 0, openUntil: 0 };

function mayCall() {
  if (circuit.state === 'closed') return { isProbe: false };
  if (circuit.state === 'probing' || Date.now() < circuit.openUntil) return null;
  circuit.state = 'probing';
  return { isProbe: true };
}

function learn({ isProbe }, isGood) {
  if (!isProbe && circuit.state !== 'closed') return;
  circuit.row = isGood ? 0 : circuit.row + 1;
  if (isGood) {
    circuit.state = 'closed';
  } else if (isProbe || circuit.row >= breakerFailures) {
    circuit.state = 'open';
    circuit.openUntil = Date.now() + breakerOpenMs + 1;
  }
}

// Resolves with a status and a price; rejects if there is no complete reply in time.
function quote(showId, seat, limitMs, leftMs) {
  return new Promise((resolve, reject) => {
    const url = new URL('/quote', PRICING_URL);
    url.search = new URLSearchParams({ seat, show_id: showId });
    const signal = AbortSignal.timeout(limitMs);
    // Pricing gets six tenths of it: its answer has to come back, too.
    const told = Math.ceil(0.6 * leftMs);
    const call = request(url, { agent, signal, headers: { 'x-timeout-ms': told } }, async (reply) => {
      try {
        if (reply.statusCode !== 200) {
          reply.resume();
          return resolve({ status: reply.statusCode });
        }
        resolve({ status: 200, cents: (await json(reply))?.price_cents });
      } catch (error) {
        reject(error);
      }
    });
    call.on('error', reject).end();
  });
}

// Resolves with 422, 503 or a price.
async function sell({ show_id, seat }, deadline) {
  let pauseMs = 0;
  for (const longestMs of [retryPauseMs, 2 * retryPauseMs, 0]) {
    const leftMs = Math.trunc(deadline - performance.now() - pauseMs);
    if (leftMs < 1) break;
    if (pauseMs) await sleep(pauseMs);
    const ticket = mayCall();
    if (!ticket) break;
    const now = Math.max(1, Math.trunc(deadline - performance.now()));
    const { status, cents } = await quote(show_id, seat, Math.min(now, callTimeoutMs), now).catch(() => ({}));
    const isRefusal = status >= 400 && status < 500;
    const isGood = isRefusal || (status === 200 && Number.isSafeInteger(cents));
    learn(ticket, isGood);
    if (isGood) return { refused: isRefusal, cents };
    if (ticket.isProbe || circuit.state !== 'closed') break;
    pauseMs = (longestMs * (1 + Math.random())) / 2;
  }
  return {};
}

async function book(req) {
  const deadline = performance.now() + Number(req.headers['x-timeout-ms'] ?? 2000);
  const order = await json(req);
  const { refused, cents } = await sell(order, deadline);
  if (refused) return [422, { error: 'not_for_sale' }];
  if (cents === undefined) return [503, { error: 'pricing_unavailable' }];
  const id = randomUUID();
  const message = { message_id: `m-${id}`, booking_id: id, user: order.user };
  await publish('lantern', 'booking.created', Buffer.from(JSON.stringify(message)), { deliveryMode: 2 });
  return [201, { id, ...order, status: 'confirmed', price_cents: cents }];
}

createServer(async (req, res) => {
  const [status, body] = await book(req);
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}).listen(setting('PORT', 3000));
process.on('SIGTERM', () => process.exit(0));
