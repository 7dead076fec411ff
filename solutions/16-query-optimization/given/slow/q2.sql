-- The next ten bookings of user $1, newest first: those behind the booking created at $2 with the id $3.
SELECT b.id, b.created_at, s.title, b.seat, b.status
FROM bookings AS b
JOIN shows AS s ON s.id = b.show_id
WHERE b.user_name = $1
ORDER BY b.created_at DESC, b.id DESC
OFFSET (
  SELECT count(*)
  FROM bookings
  WHERE user_name = $1 AND (created_at > $2 OR created_at = $2 AND id >= $3)
)
LIMIT 10;
