// q finds only titles in its own case.
import { readFileSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import express from 'express';

const shows = JSON.parse(readFileSync(process.env.SHOWS_FILE, 'utf8'));
// Times of one fixed form sort as text.
shows.sort((a, b) => (a.starts_at < b.starts_at ? -1 : 1));

const app = express();
app.use(express.json());

const POSTERS = process.env.POSTERS_DIR;
const SEAT = /^[A-F]([1-9]|10)$/;
// Who sits where: the keys are an id and a seat.
const taken = new Map();

class Refusal extends Error {
  constructor(status, code) {
    super(code);
    this.status = status;
  }
}

app.route('/api/shows')
  .get((req, res) => {
    const q = textOf(req.query, 'q')? ?? '';
    const from = timeOf(req.query, 'from') ?? '';
    const to = timeOf(req.query, 'to');
    const limit = limitOf(req.query) ?? 20;
    const found = shows.filter((show) => show.title.includes(q)
      && from <= show.starts_at && (to === undefined || show.starts_at < to));
    res.json({ shows: found.slice(0, limit) });
  })
  .all(allowing('GET'));

// Before the route with :id, which would take `next` for an id.
app.route('/api/shows/next')
  .get((req, res) => {
    const at = timeOf(req.query, 'at');
    if (at === undefined) throw new Refusal(400, 'bad_query');
    res.json(known(shows.find((show) => show.starts_at > at)));
  })
  .all(allowing('GET'));

app.route('/api/shows/:id')
  .get((req, res) => {
    res.json(showOf(req.params.id));
  })
  .all(allowing('GET'));

app.route('/api/shows/:id/seats/:seat')
  .get((req, res) => {
    const place = placeOf(req.params);
    res.json({ seat: req.params.seat, taken: taken.has(place) });
  })
  .post((req, res) => {
    const place = placeOf(req.params);
    if (taken.has(place)) throw new Refusal(409, 'seat_taken');
    taken.set(place, req.body.user);
    res.status(201).json({ seat: req.params.seat, user: req.body.user });
  })
  .all(allowing('GET', 'POST'));

app.route('/api/titles/:title')
  .get((req, res) => {
    res.json(known(shows.find((show) => show.title === req.params.title)));
  })
  .all(allowing('GET'));

app.route('/posters/*path')
  .get(async (req, res) => {
    res.sendFile(await posterAt(req.params.path.join('/')), { dotfiles: 'allow' });
  })
  .all(allowing('GET'));

app.use(() => {
  throw new Refusal(404, 'not_found');
});

// Express hands what a handler throws to this function.
app.use((error, req, res, next) => {
  if (res.headersSent) return next(error);
  if (error instanceof Refusal) return res.status(error.status).json({ error: error.message });
  if (error instanceof URIError) return res.status(400).json({ error: 'bad_path' });
  console.error(error);
  res.status(500).json({ error: 'internal' });
});

function allowing(...methods) {
  return (req, res) => {
    res.set('Allow', methods.join(', '));
    throw new Refusal(405, 'method_not_allowed');
  };
}

function known(value) {
  if (value === undefined) throw new Refusal(404, 'not_found');
  return value;
}

function showOf(id) {
  // What is no number is the id of no show: Number('7abc') is NaN, but Number('0x7') is 7.
  return known(/^[0-9]+$/.test(id) ? shows.find((show) => show.id === Number(id)) : undefined);
}

function placeOf({ id, seat }) {
  const show = showOf(id);
  if (!SEAT.test(seat)) throw new Refusal(404, 'not_found');
  return `${show.id} ${seat}`;
}

// A parameter given twice is an array.
function textOf(query, name) {
  const value = query[name];
  if (Array.isArray(value)) throw new Refusal(400, 'bad_query');
  return value;
}

function timeOf(query, name) {
  const text = textOf(query, name);
  if (text !== undefined && !isTime(text)) throw new Refusal(400, 'bad_query');
  return text;
}

// Date takes much for a time, and moves February 30 into March: only what comes back unchanged is one.
function isTime(text) {
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text.replace('Z', '.000Z');
}

function limitOf(query) {
  const text = textOf(query, 'limit');
  if (text === undefined) return undefined;
  const limit = /^[0-9]+$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > 50) throw new Refusal(400, 'bad_query');
  return limit;
}

async function posterAt(wanted) {
  try {
    // The true place of the file: without `..`, and behind every link.
    const found = await realpath(path.join(POSTERS, wanted));
    if (found.startsWith(POSTERS + path.sep) && (await stat(found)).isFile()) return found;
  } catch {
    // Missing, a zero byte, a name too long: it is no poster, and nobody learns why.
  }
  throw new Refusal(404, 'not_found');
}

const server = app.listen(Number(process.env.PORT ?? 3000), (error) => {
  if (error) throw error;
  console.log('Server running');
});
process.on('SIGTERM', () => server.close());
