// Something has to happen every TICK_MS: here it is only a row in a table.
import { hostname } from 'node:os';
import pg from 'pg';

const tickMs = Number(process.env.TICK_MS ?? 1000);
const database = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 1 });

export function startTicking() {
  setInterval(() => {
    database.query('INSERT INTO ticks (by) VALUES ($1)', [hostname()]).catch(console.error);
  }, tickMs);
}
