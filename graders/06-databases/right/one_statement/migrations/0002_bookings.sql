-- Another model: the seat itself is the key, and a UUID is what the outside sees.
CREATE TABLE bookings (
  id          uuid NOT NULL DEFAULT gen_random_uuid(),
  show_id     integer REFERENCES shows ON DELETE RESTRICT,
  seat        text,
  user_name   text NOT NULL REFERENCES wallets (user_name) ON UPDATE CASCADE,
  price_cents integer NOT NULL CHECK (price_cents > 0),
  booked_at   timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT sold_once PRIMARY KEY (show_id, seat)
);

ALTER TABLE wallets ADD CONSTRAINT never_overdrawn CHECK (balance_cents >= 0);
