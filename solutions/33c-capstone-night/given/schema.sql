-- The box office's database.
CREATE TABLE shows (
  id integer PRIMARY KEY,
  title text NOT NULL,
  starts_at timestamptz NOT NULL,
  price_cents integer NOT NULL CHECK (price_cents > 0)
);

CREATE TABLE bookings (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  show_id integer NOT NULL REFERENCES shows,
  seat text NOT NULL CHECK (seat ~ '^[A-F](10|[1-9])$'),
  user_name text NOT NULL,
  status text NOT NULL CHECK (status IN ('pending', 'confirmed', 'cancelled'))
);

-- A seat is sold at most once.
CREATE UNIQUE INDEX bookings_seat ON bookings (show_id, seat) WHERE status <> 'cancelled';

CREATE TABLE charges (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  booking_id bigint NOT NULL REFERENCES bookings,
  amount_cents integer NOT NULL
);
