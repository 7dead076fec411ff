#!/bin/sh
# Starts the engine: what needs root first, then everything as a user who has nothing.
set -eu

# On some hosts only root may open them.
chmod 666 /dev/fuse /dev/net/tun

install --directory --owner=student --group=student --mode=700 /run/user/1000 /data
install --directory --owner=student --group=student --mode=755 /socket
# A template's layers are read where they lie; the engine's own small files are copied.
[ ! -d /template/seed ] || cp -a /template/seed/* /data/

cd /
# Names of elsewhere are asked of nobody, so that a look-up fails at once instead of waiting.
exec setpriv --reuid=student --regid=student --init-groups \
  env HOME=/home/student XDG_RUNTIME_DIR=/run/user/1000 \
  /usr/share/docker.io/contrib/dockerd-rootless.sh \
  --data-root=/data --host=unix:///socket/docker.sock --dns=127.0.0.1 --log-level=warn "$@"
