#!/bin/sh
# Works as the owner of the folder, who may also ask the engine: what Terraform writes stays theirs.
set -e
owner=$(stat -c %u .) group=$(stat -c %g .)
socket=$(stat -c %g /var/run/docker.sock 2>/dev/null || echo "$group")
if [ "$(id -u)" != 0 ] || [ "$owner" = 0 ]; then
  exec "$@"
fi
exec setpriv --reuid "$owner" --regid "$group" --groups "$socket" "$@"
