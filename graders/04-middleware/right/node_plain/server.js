'use strict';
// Node's own modules only: the chain is a list of functions, each a wrapper of the next one.
const { createServer } = require('node:http');
const { randomUUID, timingSafeEqual } = require('node:crypto');

const env = process.env;
const LIMIT = 1024;

class Refusal extends Error {
  constructor(status, code) {
    super(code);
    this.status = status;
  }
}

const routes = {
  'GET /healthz': async () => [200, 'fine'],
  'POST /api/echo': async (req) => [200, await readObject(req)],
  'GET /api/staff/sales': async () => [200, { currency: 'EUR', sales: 0 }],
  'POST /api/staff/notes': async (req) => [201, { stored: await readObject(req) }],
  'GET /api/slow': () => new Promise((done) => setTimeout(done, Number(env.SLOW_MS), [200, null])),
  'GET /api/boom': async () => {
    await null;
    throw new Error(env.CANARY);
  },
};

async function route(req) {
  const handler = routes[`${req.method} ${req.path}`];
  if (handler) return handler(req);
  const known = Object.keys(routes).some((name) => name.endsWith(` ${req.path}`));
  throw new Refusal(known ? 405 : 404, known ? 'method_not_allowed' : 'not_found');
}

const guarded = (next) => async (req) => {
  if (req.path.startsWith('/api/staff/') && !isKey(req.headers['x-staff-key'])) {
    // What comes in chunks may be short: it is read first, as Go's own server does.
    if (req.headers['transfer-encoding']) for await (const _ of req);
    throw new Refusal(401, 'staff_only');
  }
  return next(req);
};

const open = (next) => async (req, res) => {
  if (env.MAINTENANCE === '1' && !(req.method === 'GET' && req.path === '/healthz')) {
    res.setHeader('retry-after', new Date(Date.now() + 60_000).toUTCString());
    throw new Refusal(503, 'maintenance');
  }
  return next(req, res);
};

const contained = (next) => async (req, res) => {
  try {
    return await next(req, res);
  } catch (error) {
    if (error instanceof Refusal) return [error.status, { error: error.message }];
    console.log(JSON.stringify({ level: 'error', id: req.id, message: error.message }));
    return [500, { request_id: req.id, error: 'internal' }];
  }
};

const logged = (next) => async (req, res) => {
  const begin = process.hrtime.bigint();
  let done = false;
  res.once('finish', () => { done = true; });
  res.once('close', () => {
    const ms = Number(process.hrtime.bigint() - begin) / 1e6;
    const { id, method, path } = req;
    console.log(JSON.stringify({ ms, status: done ? res.statusCode : 499, path, method, id, level: 'info' }));
  });
  return next(req, res);
};

const marked = (next) => async (req, res) => {
  const own = req.headers['x-request-id'];
  req.id = own && own.length >= 8 && own.length <= 64 && !/[^a-z0-9-]/i.test(own) ? own : randomUUID();
  res.setHeader('x-request-id', req.id);
  return next(req, res);
};

const chain = [marked, logged, contained, open, guarded].reduceRight((next, wrap) => wrap(next), route);

createServer(async (req, res) => {
  req.path = req.url.replace(/\?.*/s, '');
  const [status, value] = await chain(req, res);
  const body = JSON.stringify(value);
  // A body that nobody has read is not waited for.
  if (!req.complete) res.setHeader('connection', 'close');
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(body);
}).listen(env.PORT ?? 3000);

process.on('SIGTERM', () => process.exit(0));

function isKey(sent = '') {
  const [a, b] = [Buffer.from(sent), Buffer.from(env.STAFF_KEY ?? '')];
  return b.length > 0 && a.length === b.length && timingSafeEqual(a, b);
}

async function readObject(req) {
  const [type] = (req.headers['content-type'] ?? '').split(';');
  if (type.trim().toLowerCase() !== 'application/json') throw new Refusal(415, 'json_only');
  const pieces = [];
  let size = 0;
  for await (const piece of req.iterator({ destroyOnReturn: false })) {
    size += piece.length;
    if (size > LIMIT) throw new Refusal(413, 'too_large');
    pieces.push(piece);
  }
  let value;
  try {
    value = JSON.parse(Buffer.concat(pieces).toString());
  } catch {
    throw new Refusal(400, 'bad_json');
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Refusal(400, 'bad_json');
  return value;
}
