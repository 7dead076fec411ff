#!/bin/bash
# Makes the data folder at the first start, then becomes the server.
# It reads the variables of the official image that the course uses: POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB;
# each may instead name a file, such as a secret: POSTGRES_PASSWORD_FILE. And POSTGRES_HOST_AUTH_METHOD.
set -eu

# `docker run postgres:17 -c work_mem=8MB`: options alone are the server's.
if [ "${1#-}" != "$1" ]; then set -- postgres "$@"; fi
if [ "$1" != postgres ]; then exec "$@"; fi

for name in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB; do
  from="${name}_FILE"
  [ -n "${!from:-}" ] || continue
  if [ -n "${!name:-}" ]; then echo "error: both $name and $from are set" >&2; exit 1; fi
  export "$name"="$(< "${!from}")"
  unset "$from"
done

# A folder below a volume is not there at first.
mkdir -p -m 700 "$PGDATA"
if [ "$(id -u)" = 0 ]; then
  chown -R postgres "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  user=${POSTGRES_USER:-postgres}
  database=${POSTGRES_DB:-$user}
  method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
    echo "Error: the superuser has no password; start with: docker run -e POSTGRES_PASSWORD=..." >&2
    exit 1
  fi
  initdb --username="$user" --pwfile=<(echo "${POSTGRES_PASSWORD:-none}") --auth-host="$method" --auth-local=trust
  echo "host all all all $method" >> "$PGDATA/pg_hba.conf"
  if [ "$database" != postgres ]; then
    echo "CREATE DATABASE \"$database\"" | postgres --single -D "$PGDATA" postgres >/dev/null
  fi
fi

exec "$@" -c listen_addresses='*'
