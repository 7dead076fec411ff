-- The theatre's database: 200 shows, 500 users and 3 000 bookings.
CREATE TABLE users (
  name  text PRIMARY KEY,
  email text NOT NULL
);
CREATE TABLE shows (
  id          integer PRIMARY KEY,
  title       text NOT NULL,
  starts_at   timestamptz NOT NULL,
  price_cents integer NOT NULL
);
CREATE TABLE bookings (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  show_id   integer NOT NULL REFERENCES shows,
  seat      text NOT NULL,
  user_name text NOT NULL REFERENCES users,
  CONSTRAINT sold_once UNIQUE (show_id, seat)
);

INSERT INTO users SELECT 'user' || n, 'user' || n || '@example.org' FROM generate_series(1, 500) AS n;
INSERT INTO shows
SELECT n, 'Play ' || n, timestamptz '2027-03-01 19:30Z' + n * interval '1 day', 1000 + 10 * n
FROM generate_series(1, 200) AS n;
-- Fifteen seats of each show.
INSERT INTO bookings (show_id, seat, user_name)
SELECT s, chr(64 + (k - 1) / 3 + 1) || ((k - 1) % 3 + 1), 'user' || ((s * 37 + k * 101) % 500 + 1)
FROM generate_series(1, 200) AS s, generate_series(1, 15) AS k;
ANALYZE users, shows, bookings;
