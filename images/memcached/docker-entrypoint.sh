#!/bin/sh
# Becomes the server: `docker run memcached:1.6 -m 1`.
set -eu

# Options alone are the server's.
if [ "${1#-}" != "$1" ]; then set -- memcached "$@"; fi
exec "$@"
