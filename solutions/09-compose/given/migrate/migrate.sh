# Brings the tables up to date, and ends. It doesn't wait for the database: without one, it fails.
set -eu
[ -z "${DB_PASSWORD_FILE:-}" ] || DB_PASSWORD=$(cat "$DB_PASSWORD_FILE")
export PGHOST="${DB_HOST:-db}" PGUSER="${DB_USER:-lantern}" PGDATABASE="${DB_NAME:-lantern}"
export PGPASSWORD="${DB_PASSWORD:-}" PGCONNECT_TIMEOUT=3
for file in /migrations/*.sql; do
  psql --quiet --set ON_ERROR_STOP=1 --single-transaction --file "$file"
  echo "applied ${file##*/}"
done
