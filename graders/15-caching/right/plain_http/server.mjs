// A front without a framework. One key for each show: either a show, or the claim of whoever reads
// it. A PUT deletes the key; a claim is turned into a show only where it is untouched.
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import { createClient } from 'redis';
import { Memcached } from './memcached.js';

const env = process.env;
const lifetime = { 200: Number(env.CACHE_TTL_SECONDS), 404: Number(env.NEGATIVE_TTL_SECONDS) };
const AWAY = Symbol('away');
const pause = (ms, value) => new Promise((resolve) => { setTimeout(resolve, ms, value); });

// Each of them answers within a fifth of a second, or is away.
const within = (promise) => Promise.race([promise.catch(() => AWAY), pause(220, AWAY)]);

function overMemcached() {
  const client = new Memcached(env.CACHE_URL);
  return {
    async claim(key, claim) {
      while (true) {
        const found = await client.get(key);
        if (found !== undefined) return found;
        if (await client.add(key, claim, 12)) return null;
      }
    },
    async turn(key, claim, text, seconds) {
      const found = await client.gets(key);
      if (found?.text === claim) await client.cas(key, text, seconds, found.unique);
    },
    drop: (key) => client.delete(key),
  };
}

async function overRedis() {
  const client = createClient({ url: env.CACHE_URL, disableOfflineQueue: true, socket: { reconnectStrategy: () => 100 } });
  client.on('error', () => {});
  await client.connect();
  const TURN = `if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end return 1`;
  return {
    claim: (key, claim) => client.set(key, claim, { NX: true, GET: true, EX: 12 }),
    turn: (key, claim, text, seconds) => client.eval(TURN, { keys: [key], arguments: [claim, text, String(seconds)] }),
    drop: (key) => client.del(key),
  };
}

const cache = env.CACHE_URL.startsWith('redis') ? await overRedis() : overMemcached();

function catalogue(method, path, headers = {}, body = undefined) {
  return new Promise((resolve, reject) => {
    const request = http.request(env.CATALOG_URL + path, { method, headers, agent: false }, (reply) => {
      const chunks = [];
      reply.on('data', (chunk) => chunks.push(chunk));
      reply.on('error', reject);
      reply.on('end', () => {
        if (!reply.complete || reply.statusCode >= 500) reject(new Error('broken'));
        else resolve({ status: reply.statusCode, body: Buffer.concat(chunks).toString() });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

// A read does no harm, so one that failed is tried once more.
const readShow = (id) => catalogue('GET', `/shows/${id}`).catch(() => catalogue('GET', `/shows/${id}`));

// What is stored begins with its status; a claim begins with a question mark.
async function show(id) {
  const key = `s${id}`;
  const claim = `?${randomBytes(12).toString('hex')}`;
  for (;;) {
    const found = await within(cache.claim(key, claim));
    if (found === AWAY) return { ...await readShow(id), from: 'MISS' };
    if (found === null) break;
    if (found[0] !== '?') return { status: Number(found.slice(0, 3)), body: found.slice(3), from: 'HIT' };
    await pause(15 + Math.random() * 20);
  }
  try {
    const read = await readShow(id);
    await within(cache.turn(key, claim, `${read.status}${read.body}`, lifetime[read.status]));
    return { ...read, from: 'MISS' };
  } catch (error) {
    await within(cache.drop(key));
    throw error;
  }
}

function end(res, status, type, body, fields = {}) {
  res.writeHead(status, { ...fields, ...(body === undefined ? {} : { 'content-type': type }) });
  res.end(body);
}

function problem(res, status, fields = {}) {
  const body = JSON.stringify({ status, detail: 'Sorry.', title: http.STATUS_CODES[status], type: 'about:blank' });
  end(res, status, 'application/problem+json', body, fields);
}

async function handle(req, res, body) {
  const [, , kind, id] = req.url.split('/');
  if (kind === 'me') {
    const mine = await catalogue('GET', '/me/tickets', { 'x-user': req.headers['x-user'] });
    return end(res, mine.status, 'application/json', mine.body, { 'cache-control': 'no-store,private' });
  }
  if (req.method === 'PUT') {
    const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': body.length };
    const put = await catalogue('PUT', `/shows/${id}`, headers, body).finally(() => within(cache.drop(`s${id}`)));
    return end(res, put.status, 'application/json', put.body);
  }
  const { status, body: text, from } = await show(id);
  if (status === 404) return problem(res, 404, { 'x-cache': from });
  const etag = `"${createHash('sha1').update(text).digest('hex')}"`;
  const fields = { 'cache-control': 'Public, Max-Age=1', etag };
  const named = (req.headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (named.includes(etag)) return end(res, 304, '', undefined, fields);
  end(res, 200, 'application/json', text, { ...fields, 'x-cache': from });
}

http.createServer((req, res) => {
  const chunks = [];
  req.on('data', (chunk) => chunks.push(chunk));
  req.on('end', () => handle(req, res, Buffer.concat(chunks)).catch(() => problem(res, 502)));
}).listen(Number(env.PORT ?? 3000), '0.0.0.0');
