#!/bin/bash
# Keeps the container while the broker in it is stopped and started: its address stays the same.
#   serve.sh        begins
#   serve.sh stop   from outside, by docker exec: kills the broker, as a crash would
#   serve.sh start  starts it again, with what it had stored
set -u
PID=/tmp/nats.pid

start() {
  nats-server --jetstream --store_dir /data --pid "$PID" </dev/null >/proc/1/fd/1 2>&1 &
}

stop() {
  local pid
  pid=$(<"$PID")
  kill -KILL "$pid"
  while [ -e "/proc/$pid/exe" ]; do sleep 0.01; done
}

case "${1:-}" in
  stop) stop ;;
  start) start ;;
  *)
    trap 'exit 0' TERM INT
    start
    sleep infinity &
    wait
    ;;
esac
