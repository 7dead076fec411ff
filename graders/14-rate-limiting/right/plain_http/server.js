// Fair shares without a framework: one integer for each caller, and a pause for a Redis that is away.
import http from 'node:http';
import { createClient } from 'redis';

const { RATE, WINDOW_SECONDS, MAX_IN_FLIGHT, REDIS_URL, UPSTREAM_URL, PORT = '3000' } = process.env;
const perToken = Number(WINDOW_SECONDS) * 1e6 / Number(RATE);
const full = Number(WINDOW_SECONDS) * 1e6;
const SHOWS = Buffer.from(JSON.stringify({ total: 0, shows: [] }));

// A budget is counted in microseconds of refill: `full` of them is a full one. Stored is
// "<budget> <when>"; the key goes when the budget would be full.
const SPEND = `
local full, cost = tonumber(ARGV[1]), tonumber(ARGV[2])
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local budget = full
local stored = redis.call('GET', KEYS[1])
if stored then
  local b, w = string.match(stored, '(%S+) (%S+)')
  budget = math.min(full, tonumber(b) + now - tonumber(w))
end
local ok = 0
if budget >= cost - 0.5 then
  ok = 1
  budget = budget - cost
  redis.call('SET', KEYS[1], string.format('%.3f %.0f', budget, now), 'EX', math.ceil((full - budget) / 1000000) + 1)
end
return {ok, string.format('%.3f', budget)}
`;

const client = createClient({ url: REDIS_URL, disableOfflineQueue: true, socket: { reconnectStrategy: () => 300 } });
client.on('error', () => {});
await client.connect();

let awayUntil = 0;
async function spend(caller) {
  if (Date.now() < awayUntil) return null;
  let timer;
  const patience = new Promise((resolve) => { timer = setTimeout(resolve, 100, null); });
  const answer = await Promise.race([
    client.eval(SPEND, { keys: [caller], arguments: [String(full), String(perToken)] }).catch(() => null),
    patience,
  ]);
  clearTimeout(timer);
  if (answer === null) awayUntil = Date.now() + 1000;
  return answer && { ok: answer[0] === 1, budget: Number(answer[1]) };
}

function problem(res, status, title, fields = {}) {
  const body = JSON.stringify({ type: 'about:blank', title, detail: 'Ask less.', status });
  res.writeHead(status, { 'content-type': 'application/problem+json; charset=utf-8', ...fields });
  res.end(body);
}

async function shows(req, res) {
  const key = req.headers['x-api-key'];
  const seen = req.headersDistinct['x-forwarded-for']?.at(-1).split(',').pop().trim();
  const spent = await spend(key === undefined ? `from/${seen}` : `with/${key}`);
  const fields = {};
  if (spent) {
    const left = Math.floor(spent.budget / perToken + 1e-6);
    const whole = Math.ceil((full - spent.budget) / 1e6);
    fields.ratelimit = `"burst"; r=1000, "default"; t=${whole}; r=${left}`;
    fields['ratelimit-policy'] = `"default";q=${RATE};w=${WINDOW_SECONDS}`;
    if (!spent.ok) {
      fields['retry-after'] = Math.floor((perToken - spent.budget) / 1e6) + 1;
      return problem(res, 429, 'Budget spent', fields);
    }
  }
  res.writeHead(200, { ...fields, 'content-type': 'application/json; charset=utf-8' });
  res.end(SHOWS);
}

const underWay = new Set();
function report(req, res) {
  if (underWay.size >= Number(MAX_IN_FLIGHT)) return problem(res, 503, 'Busy', { 'retry-after': 3 });
  const upstream = http.get(`${UPSTREAM_URL}/report`, { agent: false }, (reply) => {
    const chunks = [];
    reply.on('data', (chunk) => chunks.push(chunk));
    reply.on('error', () => end(null));
    reply.on('end', () => end(reply.statusCode < 400 && reply.complete ? Buffer.concat(chunks) : null));
  });
  const end = (body) => {
    if (!underWay.delete(upstream)) return;
    if (!body) return problem(res, 502, 'No report');
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    res.end(body);
  };
  underWay.add(upstream);
  upstream.on('error', () => end(null));
  // Nobody waits for it any more: the upstream need not work on.
  res.on('close', () => { if (underWay.delete(upstream)) upstream.destroy(); });
}

const routes = { '/api/shows': shows, '/api/report': report };
http.createServer((req, res) => {
  const handler = routes[new URL(req.url, 'http://x').pathname];
  if (!handler) return problem(res, 404, 'Nothing here');
  handler(req, res);
}).listen(Number(PORT), '0.0.0.0', () => console.log(`ready on ${PORT}`));
