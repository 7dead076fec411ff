#!/bin/sh
# Wrong: docker export saves the files of the container, and the volume is none of them.
# Runs the notice board: up IMAGE | down | backup > FILE | restore < FILE
set -eu

remove() {
  # Stop first: the server ends by itself. What is not there needs no removing.
  docker stop lantern > /dev/null 2>&1 || true
  docker rm --force lantern > /dev/null 2>&1 || true
}

up() {
  docker network inspect lantern-net > /dev/null 2>&1 || docker network create lantern-net > /dev/null
  remove
  # --env without a value passes the caller's variable on, whatever is in it.
  docker run --detach --name lantern \
    --network lantern-net \
    --volume lantern-data:/data \
    --publish 127.0.0.1:8080:3000 \
    --restart unless-stopped \
    --env BANNER \
    "$1" > /dev/null
}

backup() {
  docker export lantern
}

restore() {
  docker import - lantern-restored > /dev/null
}

case "${1:-}" in
  up) up "$2" ;;
  down) remove ;;
  backup) backup ;;
  restore) restore ;;
  *) echo "usage: sh ops.sh up IMAGE | down | backup > FILE | restore < FILE" >&2; exit 2 ;;
esac
