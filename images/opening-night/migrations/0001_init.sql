CREATE TABLE users (
  name           text PRIMARY KEY,
  password_hash  text NOT NULL
);
-- A copy of this table opens no door: it has the hash of what the cookie holds.
CREATE TABLE sessions (
  token_hash  text PRIMARY KEY,
  user_name   text NOT NULL REFERENCES users,
  expires_at  timestamptz NOT NULL
);
CREATE TABLE shows (
  id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  title        text NOT NULL,
  starts_at    timestamptz NOT NULL,
  price_cents  integer NOT NULL CHECK (price_cents > 0),
  venue        text
);
CREATE TABLE bookings (
  id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  made_at          timestamptz NOT NULL DEFAULT now(),
  show_id          integer NOT NULL REFERENCES shows,
  seat             text NOT NULL,
  user_name        text NOT NULL REFERENCES users,
  price_cents      integer NOT NULL,
  idempotency_key  text NOT NULL,
  traceparent      text NOT NULL,
  -- What everybody sees.
  status           text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'confirmed', 'cancelled')),
  -- What we still have to do; nothing, if it is null.
  todo             text DEFAULT 'charge' CHECK (todo IN ('charge', 'mail', 'refund')),
  UNIQUE (user_name, idempotency_key)
);
-- A seat is free again as soon as its booking is cancelled.
CREATE UNIQUE INDEX held_once ON bookings (show_id, seat) WHERE status <> 'cancelled';
CREATE INDEX unfinished ON bookings (made_at) WHERE todo IS NOT NULL;

-- Each change of a booking: for the broker until it has it, and for those who watch a show.
CREATE TABLE events (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  booking_id  uuid NOT NULL REFERENCES bookings,
  show_id     integer NOT NULL,
  seat        text NOT NULL,
  state       text NOT NULL CHECK (state IN ('held', 'sold', 'free')),
  sent_at     timestamptz
);
CREATE INDEX unsent ON events (id) WHERE sent_at IS NULL;
CREATE INDEX of_show ON events (show_id, id);
