#!/bin/sh
# smoke.sh URL: waits up to 5 seconds until a server is ready, then asks what every visitor asks.
# Exit code 1 where that fails.
set -eu
for _ in $(seq 50); do
  if curl --silent --fail --max-time 2 --output /dev/null "$1/readyz"; then
    curl --silent --show-error --fail --max-time 5 "$1/api/shows"
    echo
    exit 0
  fi
  sleep 0.1
done
echo "smoke: $1 isn't ready" >&2
exit 1
