CREATE TABLE shows (
  id          integer PRIMARY KEY,
  title       text NOT NULL,
  starts_at   timestamptz NOT NULL,
  price_cents integer NOT NULL CHECK (price_cents > 0)
);
