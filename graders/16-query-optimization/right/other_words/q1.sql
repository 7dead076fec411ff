with free as (
  select seat from seats
  except
  select seat from bookings where show_id = $1 and status <> 'cancelled'
)
select seat from free join seats using (seat) order by place
