#!/bin/bash
# Becomes the server, as the user valkey: `docker run valkey:8.1 --appendonly yes`, or with a file of settings.
set -eu

# Options alone, or a file of settings, are the server's.
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then set -- valkey-server "$@"; fi
if [ "$1" != valkey-server ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
  chown -R valkey:valkey .
  exec setpriv --reuid=valkey --regid=valkey --clear-groups "$0" "$@"
fi

# As in the official image, other containers may connect, unless a setting says otherwise.
case "$*" in *protected-mode* | *.conf*) ;; *) set -- "$@" --protected-mode no ;; esac
exec "$@"
