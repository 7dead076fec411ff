-- Free seats of show $1, in the order of the seat map.
SELECT s.seat
FROM seats AS s
WHERE NOT EXISTS (
  SELECT FROM bookings AS b
  WHERE b.show_id::text = $1::text
    AND b.seat = s.seat
    AND lower(b.status) <> 'cancelled'
)
ORDER BY s.place;
