select s.id, s.title, s.starts_at, s.price_cents from shows s
where upper(s.title) ^@ upper($1)
order by s.starts_at asc, s.id asc;
-- ^@ is starts_with.
