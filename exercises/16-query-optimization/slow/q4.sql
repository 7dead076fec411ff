-- Shows whose title starts with $1, in capitals or not.
SELECT s.id, s.title, s.starts_at, s.price_cents
FROM shows AS s
WHERE lower(left(s.title, length($1))) = lower($1)
ORDER BY s.starts_at, s.id;
