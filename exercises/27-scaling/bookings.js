// Bookings wait in a queue until they are charged; at most four are charged at a time.
import { randomUUID } from 'node:crypto';
import { tell } from './events.js';

const HANDS = 4;
const sold = new Set();
const queue = [];
let busy = 0;

export async function book(show, seat, user) {
  if (sold.has(`${show} ${seat}`)) return { refused: 'taken' };
  sold.add(`${show} ${seat}`);
  const booking = { id: randomUUID(), show_id: show, seat, user };
  queue.push(booking);
  work();
  return booking;
}

export function startCharging() {}

function work() {
  while (busy < HANDS && queue.length > 0) {
    busy += 1;
    charge(queue.shift()).catch(console.error).finally(() => {
      busy -= 1;
      work();
    });
  }
}

async function charge({ id, show_id, seat, user }) {
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': id };
  const body = JSON.stringify({ booking_id: id, show_id, seat, user });
  const reply = await fetch(`${process.env.PAYMENTS_URL}/charges`, { method: 'POST', headers, body });
  if (!reply.ok) throw new Error(`the payment company answered ${reply.status}`);
  await tell({ id, show_id, seat, user, status: 'confirmed' });
}
