-- Version 1 runs on: it never names this column, and a missing value is allowed.
ALTER TABLE bookings ADD COLUMN confirmed_at timestamptz;
