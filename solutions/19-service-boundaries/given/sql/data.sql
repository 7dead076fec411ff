-- What the monolith knows so far. Each check writes other rows here.
INSERT INTO shows (id, title, starts_at, price_cents) VALUES
  (7, 'Hamlet', '2027-03-01T19:30:00Z', 2500),
  (12, 'The Tempest', '2027-02-11T20:00:00Z', 3200),
  (31, 'Macbeth', '2027-04-17T19:00:00Z', 2800);

INSERT INTO bookings (id, show_id, seat, user_name, price_cents) VALUES
  ('b-1001', 7, 'C4', 'ada', 2200),
  ('b-1002', 7, 'C5', 'grace', 2200),
  ('b-1003', 12, 'A1', 'ada', 3200);
