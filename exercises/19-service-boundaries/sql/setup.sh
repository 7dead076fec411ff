# Prepares the database, and exits: the monolith's tables, its rows, and then your split.
# It runs once; a database that's prepared is left alone. It doesn't wait: without a database, it fails.
set -eu
export PGHOST=db PGUSER=lantern PGDATABASE=lantern PGCONNECT_TIMEOUT=3
PGPASSWORD=$(cat /run/secrets/db)
export PGPASSWORD
[ "$(psql -Atc "SELECT to_regclass('public.setup_done') IS NULL")" = t ] || exit 0

cd "$(dirname "$0")"
split=/dev/null
[ ! -f split.sql ] || split=split.sql
psql --quiet --set ON_ERROR_STOP=1 --single-transaction \
  --set catalog_password="$(cat /run/secrets/catalog)" \
  --set booking_password="$(cat /run/secrets/booking)" \
  --file monolith.sql --file data.sql --file "$split" \
  --command 'CREATE TABLE public.setup_done ()'
echo "the database is prepared"
