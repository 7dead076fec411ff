-- The tables of all theatres. The role app is your server's; each row belongs to one theatre.
CREATE TABLE shows (
  id          integer PRIMARY KEY,
  theatre     text NOT NULL,
  title       text NOT NULL,
  price_cents integer NOT NULL,
  sold        integer NOT NULL DEFAULT 0
);

CREATE TABLE bookings (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  theatre   text NOT NULL DEFAULT current_setting('app.theatre'),
  show_id   integer NOT NULL REFERENCES shows,
  seat      text NOT NULL CONSTRAINT seat_exists CHECK (seat ~ '^[A-F]([1-9]|10)$'),
  user_name text NOT NULL,
  CONSTRAINT sold_once UNIQUE (show_id, seat)
);

GRANT SELECT, UPDATE (sold) ON shows TO app;
GRANT SELECT, INSERT ON bookings TO app;

-- Row-level security: the role app sees and writes the rows of one theatre, the one that the setting
-- app.theatre names. Where it names none, there are no rows.
ALTER TABLE shows ENABLE ROW LEVEL SECURITY;
ALTER TABLE bookings ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_theatre ON shows TO app USING (theatre = current_setting('app.theatre', true));
CREATE POLICY own_theatre ON bookings TO app USING (theatre = current_setting('app.theatre', true));

-- It takes 50 ms. The lock is for the checks: while they hold it, every report waits.
CREATE FUNCTION report() RETURNS TABLE (shows bigint, sold bigint) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_lock_shared(17);
  PERFORM pg_advisory_unlock_shared(17);
  PERFORM pg_sleep(0.05);
  RETURN QUERY SELECT (SELECT count(*) FROM shows), (SELECT count(*) FROM bookings);
END
$$;
