-- The monolith's tables, as they have grown.
CREATE TABLE shows (
  id          integer PRIMARY KEY,
  title       text NOT NULL,
  starts_at   timestamptz NOT NULL,
  price_cents integer NOT NULL CHECK (price_cents > 0)
);

CREATE TABLE bookings (
  id          text PRIMARY KEY DEFAULT gen_random_uuid(),
  show_id     integer NOT NULL REFERENCES shows,
  seat        text NOT NULL CHECK (seat ~ '^[A-F](10|[1-9])$'),
  user_name   text NOT NULL,
  status      text NOT NULL DEFAULT 'confirmed',
  -- What was paid, whatever the show costs today.
  price_cents integer NOT NULL,
  booked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT sold_once UNIQUE (show_id, seat)
);
