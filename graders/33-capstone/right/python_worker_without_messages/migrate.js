import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { log } from './log.js';

// Any number, as long as every migration takes the same: two at once wait for each other.
const LOCK = 330_000;

const client = await connect();
await client.query('SELECT pg_advisory_lock($1)', [LOCK]);
await client.query('CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)');
for (const name of readdirSync('migrations').filter((file) => file.endsWith('.sql')).sort()) {
  await client.query('BEGIN');
  const noted = await client.query('INSERT INTO migrations VALUES ($1) ON CONFLICT DO NOTHING', [name]);
  if (noted.rowCount === 1) {
    await client.query(readFileSync(`migrations/${name}`, 'utf8'));
    log('info', 'migrated', { file: name });
  }
  await client.query('COMMIT');
}
await client.end();

// A database that begins beside us may need a moment.
async function connect() {
  for (let left = 60; ; left -= 1) {
    const candidate = new pg.Client({ connectionString: process.env.DATABASE_URL });
    candidate.on('error', () => {});
    try {
      await candidate.connect();
      return candidate;
    } catch (error) {
      if (left === 0) throw error;
      await sleep(500);
    }
  }
}
