// What a buyer sees of a booking, and what changes when it is confirmed.
export const SHOWN = 'id, show_id, seat, user_name AS "user", status, price_cents';
export const CONFIRM = "status = 'confirmed'";
