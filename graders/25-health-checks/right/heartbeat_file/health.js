// Asks when it is asked: a new connection for each look, and one look for all who wait.
import { createConnection } from 'node:net';
import pg from 'pg';
import { beat, beats } from './heartbeat.js';

const LIMIT_MS = 250;
const GOOD_FOR_MS = 500;

export function addHealth(app) {
  let warm = false;
  const database = shared(lookAtDatabase);
  const cache = shared(lookAtRedis);
  const say = (response, well, degraded) => {
    response.writeHead(well ? 200 : 503, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
    response.end(JSON.stringify({ degraded, status: well ? 'ok' : 'fail', service: 'box-office' }));
  };

  app.all('/livez', (_, response) => say(response, beats(), []));
  app.all('/startupz', (_, response) => say(response, warm, []));
  app.all('/readyz', async (_, response) => {
    const [needed, optional] = await Promise.all([database(), cache()]);
    say(response, warm && needed, optional ? [] : ['redis']);
  });

  return { started() { warm = true; beat(); }, roundDone: beat };
}

function shared(look) {
  let at = 0;
  let result;
  return () => {
    if (!result || Date.now() - at > GOOD_FOR_MS) {
      at = Date.now();
      result = look().then(() => true, () => false);
    }
    return result;
  };
}

function lookAtDatabase() {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
  client.on('error', () => {});
  return limited(async () => {
    await client.connect();
    await client.query('select now()');
  }, () => client.connection.stream.destroy());
}

function lookAtRedis() {
  const { hostname, port } = new URL(process.env.REDIS_URL);
  const socket = createConnection({ host: hostname, port: Number(port) });
  return limited(() => new Promise((resolve, reject) => {
    socket.on('error', reject).on('close', reject).on('data', resolve);
    socket.write('PING\r\n');
  }), () => socket.destroy());
}

async function limited(work, end) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(reject, LIMIT_MS, new Error('late')); });
  try {
    const done = work();
    done.catch(() => {});
    return await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
    end();
  }
}
