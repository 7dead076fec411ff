SELECT id, title, starts_at, price_cents
FROM shows
WHERE lower(title) COLLATE "C" LIKE regexp_replace(lower($1), '([\\%_])', '\\\1', 'g') || '%'
ORDER BY starts_at, id
