# Plain SQL, compressed. The dump is finished before a byte of it goes out.
docker exec lantern-db sh -c '
  set -e
  trap "rm -f /tmp/backup.sql" EXIT
  pg_dump -U lantern lantern > /tmp/backup.sql
  gzip --stdout /tmp/backup.sql'
