CREATE TABLE sessions (token text PRIMARY KEY, name text NOT NULL);
CREATE TABLE posters (show bigint PRIMARY KEY, type text NOT NULL, bytes bytea NOT NULL);
CREATE TABLE bookings (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, show bigint, seat text, name text,
  state text NOT NULL DEFAULT 'new', UNIQUE (show, seat)
);
-- Written under a lock, so that a number is seen only after all lower ones.
CREATE TABLE events (number bigint PRIMARY KEY, show bigint NOT NULL, data text NOT NULL);
CREATE TABLE lease (holder text NOT NULL, until timestamptz NOT NULL);
INSERT INTO lease VALUES ('', now());
