-- What the theatre has already. Given: it stays as it is.
CREATE TABLE shows (
  id          integer PRIMARY KEY,
  title       text NOT NULL,
  starts_at   timestamptz NOT NULL,
  price_cents integer NOT NULL CHECK (price_cents > 0)
);

CREATE TABLE wallets (
  user_name     text PRIMARY KEY,
  balance_cents integer NOT NULL
);
