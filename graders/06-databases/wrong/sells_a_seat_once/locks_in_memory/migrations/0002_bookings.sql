-- Wrong: nothing says that a seat is sold once.
CREATE TABLE bookings (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  show_id     integer NOT NULL REFERENCES shows,
  seat        text NOT NULL CHECK (seat ~ '^[A-F]([1-9]|10)$'),
  user_name   text NOT NULL REFERENCES wallets,
  price_cents integer NOT NULL
);

-- What no server may do, whatever mistake it makes.
ALTER TABLE wallets ADD CONSTRAINT never_overdrawn CHECK (balance_cents >= 0);
