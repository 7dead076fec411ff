create index concurrently if not exists of_user on public.bookings using btree (user_name, created_at desc, id desc) where user_name is not null;
create index concurrently if not exists money on public.bookings (status, created_at) include (price_cents);
create index concurrently if not exists beginnings on public.shows (upper(title) text_pattern_ops, starts_at);
analyze bookings;
analyze shows;
