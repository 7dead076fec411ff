#!/bin/bash
# Keeps the container while the server in it is stopped and started: its address stays the same.
#   serve.sh                 starts, with the passwords of ADMIN_PASSWORD and APP_PASSWORD
#   pg_ctl stop, pg_ctl start  from outside, by docker exec
set -u
trap 'pg_ctl stop --mode=immediate --silent; exit 0' TERM INT
cp --archive "$PREPARED" "$PGDATA" || exit
pg_ctl start --no-wait --silent --log=/proc/1/fd/1
until psql --quiet --no-psqlrc --command="ALTER ROLE postgres PASSWORD '$ADMIN_PASSWORD'" \
  --command="ALTER ROLE app PASSWORD '$APP_PASSWORD'" 2>/dev/null
do sleep 0.02; done
echo "the database is ready"
sleep infinity &
wait
