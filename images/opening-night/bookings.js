import { SHOWN } from './columns.js';
import { inTransaction, pool } from './database.js';
import { addEvent } from './events.js';
import { traceparent } from './log.js';
import { expectFields, Problem } from './problems.js';
import { find, isSeat } from './shows.js';

const RULES = {
  show_id: [Number.isInteger, 'must be the id of a show'],
  seat: [isSeat, 'must be a seat such as C4'],
};
const HOLD = `
  INSERT INTO bookings (show_id, seat, user_name, price_cents, idempotency_key, traceparent)
  VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING ${SHOWN}`;

// Holds the seat and promises an answer; who pays, and how long that takes, is the worker's business.
export async function book(req, res) {
  const key = req.get('Idempotency-Key');
  if (!key) throw new Problem(400, 'idempotency-key-required');
  const order = expectFields(req.body, RULES);
  const { user } = res.locals;
  const booking = await madeBefore(user, key, order) ?? await hold(user, key, order);
  res.status(202).location(`/api/bookings/${booking.id}`).json(booking);
}

async function hold(user, key, order) {
  const held = await inTransaction(async (client) => {
    const show = await find(client, order.show_id);
    const { rows: [booking] } = await client.query(
      HOLD, [show.id, order.seat, user, show.price_cents, key, traceparent()]);
    if (booking) await addEvent(client, booking, 'held');
    return booking;
  });
  // Something was in the way: our own request that came twice at once, or somebody else's seat.
  const booking = held ?? await madeBefore(user, key, order);
  if (!booking) throw new Problem(409, 'seat-taken');
  return booking;
}

async function madeBefore(user, key, { show_id, seat }) {
  const { rows: [booking] } = await pool.query(
    `SELECT ${SHOWN} FROM bookings WHERE user_name = $1 AND idempotency_key = $2`, [user, key]);
  if (booking && (booking.show_id !== show_id || booking.seat !== seat)) throw new Problem(422, 'key-reused');
  return booking;
}

export async function readBooking(req, res) {
  const { rows: [booking] } = await pool.query(
    `SELECT ${SHOWN} FROM bookings WHERE id::text = $1 AND user_name = $2`, [req.params.id, res.locals.user]);
  if (!booking) throw new Problem(404, 'unknown-booking');
  res.json(booking);
}

// Gives a ticket back. A charge that has no answer yet stays to be done: only the answer tells what to refund.
export async function cancel(req, res) {
  const booking = await inTransaction(async (client) => {
    const { rows: [cancelled] } = await client.query(
      `UPDATE bookings SET status = 'cancelled', todo = CASE todo WHEN 'charge' THEN 'charge' ELSE 'refund' END
       WHERE id::text = $1 AND user_name = $2 AND status <> 'cancelled' RETURNING ${SHOWN}`,
      [req.params.id, res.locals.user]);
    if (cancelled) await addEvent(client, cancelled, 'free');
    return cancelled;
  });
  if (booking) res.json(booking);
  else await readBooking(req, res);
}
