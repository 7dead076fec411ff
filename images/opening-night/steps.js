import { CONFIRM } from './columns.js';
import { inTransaction, pool } from './database.js';
import { addEvent } from './events.js';
import { log, trace, traceOf } from './log.js';
import { counter } from './metrics.js';
import * as payments from './payments.js';

const countBooking = counter('bookings_total', 'Bookings by what came of them.');

// Takes the step that a booking needs now. Called once too often, it finds nothing left to do.
export async function takeStep(bookingId) {
  const { rows: [booking] } = await pool.query(
    'SELECT id, todo, price_cents, user_name AS "user", traceparent FROM bookings WHERE id = $1', [bookingId]);
  if (!booking?.todo) return;
  await trace.run(traceOf(booking.traceparent), async () => {
    log('info', `${booking.todo} begins`, { booking_id: bookingId });
    await STEPS[booking.todo](booking);
  });
}

const STEPS = {
  async charge(booking) {
    const paid = await payments.charge(booking);
    const result = await inTransaction((client) => settle(client, booking.id, paid));
    if (result === 'given back') await STEPS.refund(booking);
    else if (result) countBooking({ result });
  },
  async mail(booking) {
    if (!await payments.mail(booking)) throw new Error('the mail server refuses');
    await pool.query("UPDATE bookings SET todo = NULL WHERE id = $1 AND todo = 'mail'", [booking.id]);
  },
  async refund(booking) {
    if (!await payments.refund(booking)) throw new Error('the company refuses');
    await pool.query('UPDATE bookings SET todo = NULL WHERE id = $1', [booking.id]);
  },
};

// The company has answered: the booking's new status and its event are one transaction.
async function settle(client, id, paid) {
  const { rows: [booking] } = await client.query(
    "SELECT id, show_id, seat, status FROM bookings WHERE id = $1 AND todo = 'charge' FOR UPDATE", [id]);
  if (!booking) return undefined;
  if (booking.status === 'cancelled') {
    // Its buyer gave it back while we asked.
    await client.query('UPDATE bookings SET todo = $2 WHERE id = $1', [id, paid ? 'refund' : null]);
    return paid ? 'given back' : undefined;
  }
  if (paid) await client.query(`UPDATE bookings SET ${CONFIRM}, todo = 'mail' WHERE id = $1`, [id]);
  else await client.query("UPDATE bookings SET status = 'cancelled', todo = NULL WHERE id = $1", [id]);
  await addEvent(client, booking, paid ? 'sold' : 'free');
  return paid ? 'confirmed' : 'cancelled';
}
