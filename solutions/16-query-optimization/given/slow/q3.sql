-- Revenue of each day of month $1, such as 2027-03. A day begins at midnight in UTC.
SELECT d.day::date AS day, coalesce(sum(b.price_cents), 0) AS cents
FROM generate_series(
  ($1 || '-01')::timestamp,
  ($1 || '-01')::timestamp + interval '1 month' - interval '1 day',
  interval '1 day'
) AS d(day)
LEFT JOIN bookings AS b
  ON (b.created_at AT TIME ZONE 'UTC')::date = d.day::date
  AND b.status = 'confirmed'
GROUP BY d.day
ORDER BY d.day;
