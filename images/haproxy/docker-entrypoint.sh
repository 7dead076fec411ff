#!/bin/sh
# Runs the balancer in the foreground, with a master process that can load its settings again.
set -eu

# Options alone are the balancer's.
if [ "${1#-}" != "${1:-}" ]; then set -- haproxy "$@"; fi
if [ "${1:-}" = haproxy ]; then
  shift
  set -- haproxy -W -db "$@"
fi
exec "$@"
