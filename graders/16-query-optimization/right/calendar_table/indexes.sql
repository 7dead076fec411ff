-- The days are written down once, so a month without sales is no special case.
CREATE TABLE calendar (day date PRIMARY KEY);
INSERT INTO calendar SELECT generate_series(timestamp '2018-01-01', '2040-12-31', '1 day')::date;

CREATE INDEX CONCURRENTLY ON bookings (created_at, status, price_cents);
-- All of a page but the titles.
CREATE INDEX CONCURRENTLY ON bookings (user_name, created_at DESC, id DESC) INCLUDE (show_id, seat, status);
CREATE INDEX CONCURRENTLY ON shows (lower(title) COLLATE "C");
