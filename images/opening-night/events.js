import { pool } from './database.js';
import { log } from './log.js';
import { find } from './shows.js';

const LOOK_MS = 100;
// Any number, as long as everybody takes the same.
const IN_ORDER = 330_001;

const followers = new Set();
let last;

// Writes an event beside what it tells of, in the same transaction.
export async function addEvent(client, { id, show_id, seat }, state) {
  // One after the other: an id that is seen is never followed by a smaller one.
  await client.query('SELECT pg_advisory_xact_lock($1)', [IN_ORDER]);
  await client.query(
    'INSERT INTO events (booking_id, show_id, seat, state) VALUES ($1, $2, $3, $4)', [id, show_id, seat, state]);
}

// Every replica looks for what is new, whoever wrote it.
export async function watchEvents() {
  for (;;) {
    try {
      last ??= (await pool.query('SELECT coalesce(max(id), 0) AS id FROM events')).rows[0].id;
      const { rows } = await pool.query('SELECT * FROM events WHERE id > $1 ORDER BY id', [last]);
      for (const event of rows) {
        for (const follower of followers) send(follower, event);
        last = event.id;
      }
    } catch (error) {
      log('warn', 'no look at the events', { error: error.message });
    }
    await new Promise((resolve) => { setTimeout(resolve, LOOK_MS).unref(); });
  }
}

export async function follow(req, res) {
  const show = await find(pool, req.params.id);
  const since = /^\d{1,18}$/.exec(req.get('Last-Event-ID') ?? '')?.[0];
  res.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' }).flushHeaders();
  const follower = { show: show.id, res, last: BigInt(since ?? last ?? 0), missed: since && [] };
  // First in line for what is new, then a look at what was: so nothing falls between the two.
  followers.add(follower);
  res.on('close', () => followers.delete(follower));
  if (since === undefined) return;
  const { rows } = await pool.query(
    'SELECT * FROM events WHERE show_id = $1 AND id > $2 ORDER BY id', [show.id, since]);
  const { missed } = follower;
  follower.missed = undefined;
  for (const event of [...rows, ...missed]) send(follower, event);
}

function send(follower, { id, show_id, seat, state }) {
  if (follower.missed) return follower.missed.push({ id, show_id, seat, state });
  if (show_id !== follower.show || BigInt(id) <= follower.last) return;
  follower.last = BigInt(id);
  follower.res.write(`id: ${id}\nevent: seat\ndata: ${JSON.stringify({ show_id, seat, state })}\n\n`);
}

export function endStreams() {
  for (const { res } of followers) res.end();
}
