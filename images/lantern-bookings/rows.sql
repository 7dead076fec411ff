-- 6,000 shows with 50 bookings each. Every value is computed, so that all machines have the same rows.
-- mix(n, salt, k) is a number from 0 to k - 1 that looks random.
CREATE FUNCTION pg_temp.mix(n bigint, salt text, k integer) RETURNS integer LANGUAGE sql
  RETURN ('x' || substr(md5(n || salt), 1, 7))::bit(28)::integer % k;

INSERT INTO seats
SELECT substr('ABCDEF', n / 10 + 1, 1) || n % 10 + 1, n + 1 FROM generate_series(0, 59) AS n;

-- Each of 400 titles is played 15 times.
INSERT INTO shows
SELECT
  n,
  (ARRAY['Silent', 'Golden', 'Broken', 'Crimson', 'Distant', 'Frozen', 'Hidden', 'Little', 'Midnight', 'Northern',
         'Painted', 'Quiet', 'Restless', 'Second', 'Turning', 'Unwritten', 'Velvet', 'Wandering', 'Yellow', 'Ancient'])[n * 7 % 400 / 20 + 1]
  || ' ' ||
  (ARRAY['Garden', 'Island', 'Hamlet', 'Orchard', 'Lantern', 'Mirror', 'Circus', 'Bridge', 'Empire', 'Falcon',
         'Journey', 'Kingdom', 'Needle', 'Piano', 'River', 'Storm', 'Theatre', 'Umbrella', 'Voyage', 'Winter'])[n * 7 % 20 + 1],
  timestamptz '2018-10-01 18:00Z' + n / 2 * interval '1 day' + n % 2 * interval '2 hours 30 minutes',
  1500 + n % 20 * 100,
  (SELECT string_agg(md5(n || '/' || part), ' ') FROM generate_series(1, 12) AS part)
FROM generate_series(1, 6000) AS n;

-- Seats are bought in groups of up to four: one person, one moment. Six accounts belong to schools and clubs, and buy a lot.
-- The old system exported its bookings in no particular order.
INSERT INTO bookings (show_id, seat, user_name, status, price_cents, created_at, note)
SELECT
  show_id,
  CASE WHEN k NOT IN (40, 41) THEN
    (SELECT seat FROM seats WHERE place = (k % 45 * 7 + show_id) % 60 + 1) END,
  CASE
    WHEN pg_temp.mix(party, 'kind', 100) < 3 THEN NULL
    WHEN pg_temp.mix(party, 'kind', 100) < 12 THEN 'club-' || pg_temp.mix(party, 'club', 6) + 1
    ELSE (ARRAY['ada', 'ben', 'cleo', 'dora', 'emil', 'fay', 'gus', 'hana', 'ivo', 'jana'])[pg_temp.mix(party, 'name', 10) + 1]
      || '-' || pg_temp.mix(party, 'number', 880)
  END,
  CASE WHEN k >= 43 THEN 'cancelled' WHEN k = 42 THEN 'pending' ELSE 'confirmed' END,
  CASE WHEN pg_temp.mix(booking, 'free', 40) > 0 THEN 1500 + show_id % 20 * 100 END,
  timestamptz '2018-10-01 18:00Z' + show_id / 2 * interval '1 day' - pg_temp.mix(party, 'when', 7776000) * interval '1 second',
  md5(booking || 'note') || ' ' || md5(party::text)
FROM (
  SELECT show_id, k, show_id * 50 + k AS booking, show_id * 13 + k / 4 AS party
  FROM generate_series(1, 6000) AS show_id, generate_series(0, 49) AS k
) AS numbered
ORDER BY md5(booking::text);
