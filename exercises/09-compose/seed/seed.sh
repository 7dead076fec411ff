# Adds a show for each title that it's given, and ends.
set -eu
[ -z "${DB_PASSWORD_FILE:-}" ] || DB_PASSWORD=$(cat "$DB_PASSWORD_FILE")
export PGHOST="${DB_HOST:-db}" PGUSER="${DB_USER:-lantern}" PGDATABASE="${DB_NAME:-lantern}"
export PGPASSWORD="${DB_PASSWORD:-}" PGCONNECT_TIMEOUT=3
for title; do
  echo "INSERT INTO shows (title) VALUES (:'title')" |
    psql --quiet --set ON_ERROR_STOP=1 --set title="$title"
  echo "added $title"
done
