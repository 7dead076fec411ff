#!/bin/bash
# Becomes the server, as the user redis: `docker run redis:8.0 --appendonly yes`, or with a file of settings.
set -eu

# Options alone, or a file of settings, are the server's.
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then set -- redis-server "$@"; fi
if [ "$1" != redis-server ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
  chown -R redis:redis .
  exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi

# As in the official image, other containers may connect, unless a setting says otherwise.
case "$*" in *protected-mode* | *.conf*) ;; *) set -- "$@" --protected-mode no ;; esac
exec "$@"
