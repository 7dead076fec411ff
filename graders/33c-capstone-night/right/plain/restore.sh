set -e
cat > backup.gz
# Its checksum is at the end: a part of it fails here.
gzip --test backup.gz
gzip --decompress --stdout backup.gz > backup.sql
docker exec -i lantern-db psql -U lantern -d lantern -q -1 -v ON_ERROR_STOP=1 -f - < backup.sql > /dev/null
