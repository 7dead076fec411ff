// What a buyer sees of a booking, and what changes when it is confirmed.
export const SHOWN = 'id, show_id, seat, user_name AS "user", status, price_cents, confirmed_at';
export const CONFIRM = "status = 'confirmed', confirmed_at = now()";
