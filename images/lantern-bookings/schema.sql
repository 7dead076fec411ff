-- Lantern's tables, as the exercise of 16 describes them.
CREATE TABLE shows (
  id          integer PRIMARY KEY,
  title       text NOT NULL,
  starts_at   timestamptz NOT NULL,
  price_cents integer NOT NULL,
  description text NOT NULL DEFAULT ''
);

CREATE TABLE seats (
  seat  text PRIMARY KEY,
  place integer NOT NULL UNIQUE
);

CREATE TABLE bookings (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  show_id     integer NOT NULL REFERENCES shows,
  seat        text REFERENCES seats,
  user_name   text,
  status      text NOT NULL CHECK (status IN ('pending', 'confirmed', 'cancelled')),
  price_cents integer,
  created_at  timestamptz NOT NULL,
  note        text NOT NULL DEFAULT ''
);

CREATE UNIQUE INDEX sold_once ON bookings (show_id, seat) WHERE status <> 'cancelled';
