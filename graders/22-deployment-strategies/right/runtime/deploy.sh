#!/bin/sh
# HAProxy is never loaded again: its runtime API moves addresses and shares.
set -eu
FOLDER=/usr/local/etc/haproxy
MAP=$FOLDER/deployed.map

admin() {
  docker exec lb bash -c 'exec 3<> /dev/tcp/127.0.0.1/9999; echo "$0" >&3; cat <&3' "$1"
}

value() {
  admin "show map $MAP" | awk -v key="$1" '$2 == key { print $3 }'
}

# become KEY VALUE ...: all of them in one line, so that nobody sees half of it.
become() {
  line=
  while [ $# -gt 0 ]; do
    [ "$1" = percent ] && map=$FOLDER/share.map || map=$MAP
    line="${line:+$line; }set map $map $1 $2"
    shift 2
  done
  said=$(admin "$line")
  [ -z "$(echo "$said" | tr -d '\n')" ] || { echo "$said" >&2; exit 1; }
}

start_in() {
  slot=$1 container="shop-$2"
  docker run -d --name "$container" --label "slot=$slot" --network shop-net "lantern/shop:$2" > /dev/null
  tries=$((${READY_WITHIN_S:-3} * 4))
  until docker exec "$container" ready 2> /dev/null; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ]; then
      docker rm -f "$container" > /dev/null
      exit 2
    fi
    sleep 0.15
  done
  address=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$container")
}

free_slot() {
  for slot in a b c; do
    [ "$slot" = "$live" ] || [ "$slot" = "$previous" ] || echo "$slot"
  done | head -n 1
}

# The newest container of each slot named stays; a canary that failed may be there, too.
keep_only() {
  for found in a b c; do
    from=1
    if [ "$found" = "$1" ] || [ "$found" = "$2" ]; then from=2; fi
    docker ps -aq --filter label=slot="$found" --filter name=^shop- | tail -n +$from | xargs -r docker rm -f > /dev/null
  done
}

if [ "$1" != start ]; then
  live=$(value live) previous=$(value previous)
fi

case $1 in
  start)
    docker network create shop-net > /dev/null
    start_in a "$2"
    printf 'live a\nprevious a\ncanary a\n' > deployed.map
    echo percent 0 > share.map
    docker create --name lb --network shop-net -p 127.0.0.1:8080:8080 haproxy:3.0 > /dev/null
    sed "/^backend a/,/server/s/127.0.0.1:1/$address:3000/" haproxy.cfg > first.cfg
    docker cp first.cfg lb:/usr/local/etc/haproxy/haproxy.cfg
    docker cp deployed.map "lb:$MAP"
    docker cp share.map "lb:$FOLDER/share.map"
    docker start lb > /dev/null
    until curl -sf -o /dev/null http://127.0.0.1:8080/seats; do sleep 0.1; done
    ;;
  release)
    start_in "$(free_slot)" "$2"
    admin "set server $slot/shop addr $address port 3000" > /dev/null
    become previous "$live" live "$slot" percent 0
    keep_only "$slot" "$live"
    ;;
  rollback)
    become live "$previous" previous "$live" percent 0
    ;;
  canary)
    start_in "$(free_slot)" "$2"
    admin "set server $slot/shop addr $address port 3000; clear counters all" > /dev/null
    become canary "$slot" percent "$3"
    sleep "${WATCH_S:-3}"
    if admin "show stat" | awk -F, -v slot="$slot" '
      NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
      $1 == slot && $2 == "BACKEND" { bad = $at["hrsp_5xx"]; all = bad + $at["hrsp_2xx"] + $at["hrsp_3xx"] + $at["hrsp_4xx"] }
      END { exit !(bad * 100 > all * 5) }'
    then
      become percent 0
      exit 3
    fi
    ;;
  promote)
    canary=$(value canary)
    become live "$canary" previous "$live" percent 0
    keep_only "$canary" "$live"
    ;;
esac
