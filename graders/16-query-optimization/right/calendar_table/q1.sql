SELECT s.seat
FROM seats s
LEFT JOIN bookings b ON b.seat = s.seat AND b.show_id = $1::int AND b.status <> 'cancelled'
WHERE b.id IS NULL
ORDER BY s.place
