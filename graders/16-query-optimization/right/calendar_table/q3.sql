SELECT c.day, coalesce(s.cents, 0) AS cents
FROM calendar c
LEFT JOIN (
  SELECT date(created_at AT TIME ZONE 'UTC') AS day, sum(price_cents) AS cents
  FROM bookings
  WHERE status = 'confirmed'
    AND created_at >= to_date($1, 'YYYY-MM')::timestamp AT TIME ZONE 'UTC'
    AND created_at < (to_date($1, 'YYYY-MM') + interval '1 month') AT TIME ZONE 'UTC'
  GROUP BY 1
) s USING (day)
WHERE c.day >= to_date($1, 'YYYY-MM') AND c.day < to_date($1, 'YYYY-MM') + interval '1 month'
ORDER BY c.day
