import pg from 'pg';
import { Redis } from './redis.js';

const { DATABASE_URL, REDIS_URL } = process.env;

// Adds the health check to the server. It says all is well when everything is.
export function addHealth(app) {
  const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 1 });
  pool.on('error', () => {});
  const redis = new Redis(REDIS_URL);

  app.get('/health', async (req, res) => {
    await pool.query('SELECT 1');
    await redis.ping();
    res.json({ status: 'ok' });
  });

  return {
    // The server calls this once, when it has warmed up …
    started() {},
    // … and this after each round of its loop.
    roundDone() {},
  };
}
