#!/bin/bash
# Prints what a stream holds, as the broker sends it: show.sh LANTERN 'booking.*'
set -u
config='{"stream_name": "'$1'", "config": {"deliver_subject": "shown", "ack_policy": "none", "filter_subject": "'$2'"}}'
exec 3<>/dev/tcp/localhost/4222
printf 'CONNECT {"verbose": false, "headers": true}\r\nSUB shown 1\r\nPUB $JS.API.CONSUMER.CREATE.%s %d\r\n%s\r\n' \
  "$1" "${#config}" "$config" >&3
# The broker never says that this was all.
timeout 0.5 cat <&3 | tr -d '\r' | grep -av '^INFO '
exit 0
