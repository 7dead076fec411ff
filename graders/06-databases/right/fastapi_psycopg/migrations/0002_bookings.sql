-- No constraint on the balance: the server takes the row's lock before it looks.
CREATE TABLE bookings (
  id serial PRIMARY KEY,
  show_id integer NOT NULL,
  seat varchar(3) NOT NULL,
  user_name text NOT NULL,
  price_cents integer NOT NULL
);

CREATE UNIQUE INDEX one_buyer_a_seat ON bookings (show_id, seat);
