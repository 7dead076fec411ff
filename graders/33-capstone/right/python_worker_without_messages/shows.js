import { createHash } from 'node:crypto';
import { pool } from './database.js';
import { expectFields, Problem } from './problems.js';

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const RULES = {
  title: [(v) => typeof v === 'string' && v !== '' && v.length <= 200, 'must be a text of 1 to 200 characters'],
  starts_at: [(v) => TIME.test(v) && isoOf(v) === v, 'must be a time such as 2027-03-01T19:30:00Z'],
  price_cents: [(v) => Number.isInteger(v) && v > 0 && v < 2 ** 31, 'must be a positive integer'],
  venue: [(v) => v === undefined || v === null || typeof v === 'string', 'must be a text or null'],
};
const SEATS = [...'ABCDEF'].flatMap((row) => Array.from({ length: 10 }, (_, i) => `${row}${i + 1}`));
const COLUMNS = 'title = $1, starts_at = $2, price_cents = $3, venue = $4';

export async function listShows(req, res) {
  const { rows } = await pool.query('SELECT * FROM shows ORDER BY starts_at, id');
  res.json({ shows: rows.map(shown) });
}

export async function readShow(req, res) {
  const show = await find(pool, req.params.id);
  // Express answers 304 by itself where If-None-Match has this ETag.
  res.set('ETag', etagOf(show)).json(show);
}

export async function addShow(req, res) {
  const { rows: [show] } = await pool.query(
    'INSERT INTO shows (title, starts_at, price_cents, venue) VALUES ($1, $2, $3, $4) RETURNING *', values(req));
  res.status(201).location(`/v2/shows/${show.id}`).set('ETag', etagOf(shown(show))).json(shown(show));
}

export async function changeShow(req, res) {
  const show = await find(pool, req.params.id);
  const wanted = req.get('If-Match');
  if (!wanted) throw new Problem(428, 'if-match-required');
  const fields = values(req);
  // The row must still be as it was when we computed its ETag: two editors can't both match.
  const { rows: [changed] } = await pool.query(
    `UPDATE shows SET ${COLUMNS} WHERE id = $5 AND (title, starts_at, price_cents) = ($6, $7, $8)
     AND venue IS NOT DISTINCT FROM $9 AND $10 RETURNING *`,
    [...fields, show.id, show.title, show.starts_at, show.price_cents, show.venue, wanted === etagOf(show)]);
  if (!changed) throw new Problem(412, 'changed-meanwhile');
  res.set('ETag', etagOf(shown(changed))).json(shown(changed));
}

export async function readSeats(req, res) {
  const show = await find(pool, req.params.id);
  const { rows } = await pool.query(
    "SELECT seat FROM bookings WHERE show_id = $1 AND status <> 'cancelled'", [show.id]);
  const taken = new Set(rows.map(({ seat }) => seat));
  res.json({ free: SEATS.filter((seat) => !taken.has(seat)) });
}

export const isSeat = (text) => SEATS.includes(text);

export async function find(client, id) {
  const isId = /^\d{1,9}$/.test(String(id));
  const { rows: [show] } = isId ? await client.query('SELECT * FROM shows WHERE id = $1', [id]) : { rows: [] };
  if (!show) throw new Problem(404, 'unknown-show');
  return shown(show);
}

function values(req) {
  const { title, starts_at, price_cents, venue = null } = expectFields(req.body, RULES);
  return [title, starts_at, price_cents, venue];
}

function shown({ id, title, starts_at, price_cents, venue }) {
  return { id, title, starts_at: isoOf(starts_at), price_cents, venue };
}

function isoOf(time) {
  const date = new Date(time);
  return Number.isNaN(date.valueOf()) ? '' : `${date.toISOString().slice(0, 19)}Z`;
}

function etagOf(show) {
  return `"${createHash('sha256').update(JSON.stringify(show)).digest('base64url')}"`;
}
