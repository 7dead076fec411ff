// Node's own modules only. Nothing is ambient: each request has a logger, and it is handed on.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';

const { env } = process;
const ORDER = ['debug', 'info', 'warn', 'error'];
const shows = Object.fromEntries(JSON.parse(fs.readFileSync(env.SHOWS_FILE)).map((show) => [show.id, show]));

const hidden = (key, value) => {
  if (/^(password|token|number)$/i.test(key)) return undefined;
  if (typeof value === 'number' && Math.abs(value) >= 1e12) return '****';
  if (typeof value !== 'string') return value;
  return value
    .replace(/\d[\d -]{11,}\d/g, (run) => (run.replace(/\D/g, '').length >= 13 ? '****' : run))
    .replace(/\b(token|password)=[^&;,\s"']*/gi, '$1=****')
    .replace(/(\/\/[^:/\s@]*):[^@/\s]*@/g, '$1:****@');
};

class Logger {
  constructor(bound = {}) {
    this.bound = bound;
  }

  write(level, msg, more = {}) {
    if (ORDER.indexOf(level) < ORDER.indexOf(env.LOG_LEVEL || 'info')) return;
    const own = { service: env.SERVICE_NAME, version: env.SERVICE_VERSION, ...this.bound };
    const rest = JSON.stringify({ ...more }, hidden).slice(1, -1);
    const head = JSON.stringify({ level, ts: new Date().toISOString(), msg, ...own }).slice(0, -1);
    fs.writeSync(1, `${head}${rest && ','}${rest}}\n`);
  }
}

class Refused extends Error {
  constructor(status) {
    super(`refused with ${status}`);
    this.status = status;
  }
}

async function readObject(req, facts, logger) {
  const pieces = [];
  for await (const piece of req) pieces.push(piece);
  let body;
  try {
    body = JSON.parse(Buffer.concat(pieces).toString());
  } catch {
    throw new Refused(400);
  }
  if (body === null || typeof body !== 'object' || Array.isArray(body)) throw new Refused(400);
  if (typeof body.user === 'string') facts.user = body.user;
  logger.write('debug', 'read', { body });
  return body;
}

const routes = [
  ['GET', /^\/api\/shows\/([^/]+)$/, '/api/shows/:id', async (call) => {
    if (!Object.hasOwn(shows, call.params[1])) throw new Refused(404);
    return [200, shows[call.params[1]]];
  }],
  ['POST', /^\/api\/login$/, '/api/login', async ({ req, res, facts, logger }) => {
    const { password } = await readObject(req, facts, logger);
    if (password !== env.LOGIN_PASSWORD) throw new Refused(401);
    const token = crypto.randomBytes(25).toString('base64');
    res.setHeader('Set-Cookie', [`session=${encodeURIComponent(token)}; Path=/`, 'seen=1']);
    return [200, { token, kind: 'bearer' }];
  }],
  ['POST', /^\/api\/bookings$/, '/api/bookings', async ({ req, facts, logger, ids }) => {
    const order = await readObject(req, facts, logger);
    const { status, text } = await charge(order, ids);
    if (status === 402) throw new Refused(402);
    let paid = {};
    try {
      paid = JSON.parse(text) ?? {};
    } catch {}
    if (status !== 201 || typeof paid.id !== 'string') {
      throw Object.assign(new Error(`payments said ${status}, ${text}`), { status: 502 });
    }
    logger.write('info', 'charged', { charge_id: paid.id });
    return [201, { charge_id: paid.id, seat: order.seat, user: order.user }];
  }],
  ['GET', /^\/api\/boom$/, '/api/boom', async () => {
    await null;
    throw new Error(env.CANARY);
  }],
];

function charge(order, ids) {
  const span = crypto.randomBytes(8).toString('hex');
  const headers = { TraceParent: `00-${ids.trace_id}-${span}-${ids.flags}`, 'x-request-id': ids.request_id };
  return new Promise((resolve, reject) => {
    const failed = (cause) => reject(Object.assign(new Error('payments are away', { cause }), { status: 502 }));
    const call = http.request(`${env.PAYMENTS_URL}/charges`, { method: 'POST', headers, timeout: 60_000 }, async (reply) => {
      let text = '';
      for await (const piece of reply) text += piece;
      resolve({ status: reply.statusCode, text });
    });
    call.on('error', failed).end(JSON.stringify(order));
  });
}

function identify({ headers }) {
  const [, trace_id, parent, flags] = /^00-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})$/.exec(headers.traceparent) ?? [];
  const valid = trace_id && /[^0]/.test(trace_id) && /[^0]/.test(parent);
  const own = headers['x-request-id'];
  return {
    request_id: /^[a-z\d-]{8,64}$/i.test(own) && own ? own : crypto.randomUUID(),
    trace_id: valid ? trace_id : crypto.randomBytes(16).toString('hex'),
    flags: valid ? flags : '00',
  };
}

http.createServer(async (req, res) => {
  if (req.url === '/healthz') return res.end('ok');
  const begun = process.hrtime.bigint();
  const ids = identify(req);
  const logger = new Logger({ request_id: ids.request_id, trace_id: ids.trace_id });
  const facts = {};
  const [path] = req.url.split('?', 1);
  const found = routes.find(([method, pattern]) => method === req.method && pattern.test(path));
  let done = false;
  const end = (status) => {
    if (done) return;
    done = true;
    const level = ORDER[1 + (status >= 400) + (status >= 500)];
    const duration_ms = Number((process.hrtime.bigint() - begun) / 1000n) / 1000;
    const agent = req.headers['user-agent'];
    logger.write(level, 'over', { ...facts, agent, duration_ms, status, path, route: found?.[2] ?? null, method: req.method });
  };
  res.once('close', () => end(499));
  let answer;
  try {
    if (!found) throw new Refused(404);
    answer = await found[3]({ req, res, facts, logger, ids, params: found[1].exec(path) });
  } catch (error) {
    const status = error.status ?? 500;
    if (status >= 500) facts.stack = error.stack;
    answer = [status, { error: status }];
  }
  if (done) return;
  // The line first, the reply after it: then no reply is without its line.
  end(answer[0]);
  res.writeHead(answer[0], { 'X-Request-ID': ids.request_id, 'content-type': 'application/json; charset=utf-8' });
  res.write(JSON.stringify(answer[1]));
  res.end();
}).listen(Number(env.PORT || 3000), '0.0.0.0');
process.on('SIGTERM', () => process.exit(0));
