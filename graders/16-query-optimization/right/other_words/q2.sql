/* The page first, then its titles. */
with page as (
  select id, created_at, show_id, seat, status
  from bookings
  where user_name = $1 and row(created_at, id) < row($2::timestamptz, $3::bigint)
  order by created_at desc, id desc
  limit 10
)
select p.id, p.created_at, t.title, p.seat, p.status
from page p, lateral (select title from shows where shows.id = p.show_id) t
order by p.created_at desc, p.id desc;
