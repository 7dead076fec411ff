SELECT b.id, b.created_at, (SELECT title FROM shows WHERE shows.id = b.show_id) AS title, b.seat, b.status
FROM bookings b
WHERE b.user_name = $1
  AND b.created_at <= $2::timestamptz
  AND (b.created_at < $2::timestamptz OR b.id < $3::bigint)
ORDER BY b.created_at DESC, b.id DESC
FETCH FIRST 10 ROWS ONLY
