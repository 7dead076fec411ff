with bounds as materialized (
  select make_date(split_part($1, '-', 1)::int, split_part($1, '-', 2)::int, 1) as first
), days as (
  select first + n as day from bounds, generate_series(0, 30) n
  where extract(month from first + n) = extract(month from first)
), sales as (
  select (created_at at time zone 'utc')::date as day, price_cents
  from bookings, bounds
  where status = 'confirmed'
    and created_at >= timezone('UTC', first::timestamp)
    and created_at < timezone('UTC', first + interval '1 month')
)
select day, sum(coalesce(price_cents, 0))::numeric as cents
from days left join sales using (day)
group by day
order by day
