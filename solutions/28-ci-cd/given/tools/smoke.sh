#!/bin/sh
# smoke.sh URL: waits until a server is up, then asks what every visitor asks. Exit code 1 where that fails.
set -eu
up=
for _ in $(seq 50); do
  if curl --silent --fail --max-time 2 --output /dev/null "$1/healthz"; then
    up=yes
    break
  fi
  sleep 0.1
done
[ "$up" ] || { echo "smoke: nothing answers at $1" >&2; exit 1; }
curl --silent --show-error --fail --max-time 5 "$1/api/shows" || { echo "smoke: $1/api/shows fails" >&2; exit 1; }
echo
curl --silent --show-error --fail --max-time 5 "$1/api/version"
echo
