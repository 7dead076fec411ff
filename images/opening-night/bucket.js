import { createClient } from 'redis';
import { log } from './log.js';
import { Problem } from './problems.js';

const RATE = Number(process.env.RATE ?? 100);
const WINDOW_MS = Number(process.env.WINDOW_SECONDS ?? 60) * 1000;
const PATIENCE_MS = 200;

// Redis runs a script as one step: no other client reads or writes between its lines.
const TAKE = `
  local rate, window = tonumber(ARGV[1]), tonumber(ARGV[2])
  local time = redis.call('TIME')
  local now = time[1] * 1000 + time[2] / 1000
  local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
  local tokens, at = tonumber(bucket[1]) or rate, tonumber(bucket[2]) or now
  tokens = math.min(rate, tokens + (now - at) * rate / window)
  local taken = 0
  if tokens >= 1 then
    taken = 1
    tokens = tokens - 1
  end
  redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
  redis.call('PEXPIRE', KEYS[1], window)
  return {taken, tostring(tokens)}
`;

const redis = createClient({
  url: process.env.REDIS_URL,
  // While there is no connection, a command fails at once instead of waiting for one.
  disableOfflineQueue: true,
  socket: { reconnectStrategy: 200 },
});
redis.on('error', (error) => log('warn', 'cache away', { error: error.message }));
// Not awaited: without a counter we still sell.
redis.connect().catch(() => {});

export async function limit(req, res, next) {
  const bucket = await take(callerOf(req));
  // Nobody counts: better to let too many in than nobody.
  if (!bucket) return next();
  const [taken, tokens] = bucket;
  const secondsUntil = (wanted) => Math.ceil((wanted - tokens) * WINDOW_MS / RATE / 1000);
  res.set('RateLimit', `"default";r=${Math.floor(tokens)};t=${secondsUntil(RATE)}`);
  if (!taken) throw new Problem(429, 'too-many-requests', { headers: { 'Retry-After': String(secondsUntil(1)) } });
  next();
}

async function take(caller) {
  const options = { keys: [`bucket:${caller}`], arguments: [String(RATE), String(WINDOW_MS)] };
  try {
    const [taken, tokens] = await Promise.race([redis.eval(TAKE, options), tooLate()]);
    return [taken === 1, Number(tokens)];
  } catch {
    return undefined;
  }
}

function tooLate() {
  return new Promise((_, reject) => { setTimeout(reject, PATIENCE_MS).unref(); });
}

// What the caller wrote comes first; the entry of our own door is the last one.
function callerOf(req) {
  const key = req.get('X-Api-Key');
  if (key) return `key:${key}`;
  return `address:${(req.get('X-Forwarded-For') ?? '').split(',').at(-1).trim()}`;
}

export function closeCache() {
  redis.destroy();
}
