import { traceparent } from './log.js';

const TIMEOUT_MS = Number(process.env.PAYMENTS_TIMEOUT_MS ?? 2000);
const { PAYMENTS_URL, MAIL_URL } = process.env;

// Each returns true for yes and false for no. Anything else is no answer, and throws:
// ask again then, the key is the same each time.

export const charge = ({ id, user, price_cents }) => ask(
  `${PAYMENTS_URL}/charges`, `charge-${id}`, { booking_id: id, amount_cents: price_cents, user });

export const refund = ({ id }) => ask(`${PAYMENTS_URL}/refunds`, `refund-${id}`, { booking_id: id });

export const mail = ({ id, user }) => ask(
  `${MAIL_URL}/mails`, `mail-${id}`, { message_id: `confirmed-${id}`, to: user, booking_id: id });

async function ask(url, key, body) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key, traceparent: traceparent() },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  await response.body?.cancel();
  if (response.ok) return true;
  if (response.status === 402) return false;
  throw new Error(`${new URL(url).pathname} answered ${response.status}`);
}
