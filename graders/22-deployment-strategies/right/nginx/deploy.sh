#!/bin/sh
# nginx in front. The file `state` says who is who; a container's name is its version's.
set -e

load_state() { . ./state; }

save_state() {
    printf 'live=%s\nprevious=%s\ncandidate=%s\npercent=%s\n' "$live" "$previous" "$candidate" "$percent" > state.new
    mv state.new state
}

launch() {
    docker run -d --name "shop-$1" --network shop-net "lantern/shop:$1" >/dev/null
    end=$(($(date +%s%N) / 1000000 + ${READY_WITHIN_S:-3} * 1000))
    while ! docker exec shop-probe wget -q -T 1 -O /dev/null "http://shop-$1:3000/readyz" 2>/dev/null; do
        if [ $(($(date +%s%N) / 1000000)) -gt "$end" ]; then
            docker rm -f "shop-$1" >/dev/null
            echo "version $1 is not ready" >&2
            exit 2
        fi
        sleep 0.1
    done
}

render() {
    generation=$(date +%s%N)
    share="s/@PERCENT@/$percent/"
    # split_clients knows no 0 %.
    [ "$percent" != 0 ] || share='/@PERCENT@/d'
    sed -e "s/@LIVE@/shop-$live/" -e "s/@CANARY@/shop-${candidate:-$live}/" -e "s/@GENERATION@/$generation/" \
        -e "$share" nginx.conf > nginx.now
    docker cp nginx.now lb:/etc/nginx/nginx.conf >/dev/null
}

apply() {
    render
    docker exec lb nginx -s reload 2>/dev/null
    # For a moment old workers accept, too: one right answer is none.
    right=0
    while [ "$right" -lt 10 ]; do
        right=$((right + 1))
        [ "$(curl -s http://127.0.0.1:8081/)" = "$generation" ] || right=0
    done
    save_state
}

prune() {
    docker ps -a --format '{{.Names}}' | grep '^shop-' | grep -vx -e shop-probe -e "shop-$live" -e "shop-$previous" |
        while read -r name; do docker rm -f "$name" >/dev/null; done
}

# Counts twice a second; enough errors end the watch early.
watch_canary() {
    since=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)
    end=$(($(date +%s) + ${WATCH_S:-3}))
    while [ "$(date +%s)" -lt "$end" ]; do
        sleep 0.5
        all=$(docker logs --since "$since" lb 2>/dev/null | grep -c ' canary ') || true
        bad=$(docker logs --since "$since" lb 2>/dev/null | grep -c ' canary 5') || true
        if [ "$all" -ge 10 ] && [ $((bad * 20)) -gt "$all" ]; then return 1; fi
    done
    [ $((bad * 20)) -le "$all" ]
}

case $1 in
start)
    docker network create shop-net >/dev/null
    # Asks from inside the network, so no version needs a port outside.
    docker run -d --init --name shop-probe --network shop-net busybox:1.37 sleep 1000000 >/dev/null
    live=$2 previous= candidate= percent=0
    launch "$live"
    docker create --name lb --network shop-net -p 8080:8080 -p 127.0.0.1:8081:8081 nginx:1.26 >/dev/null
    render
    docker start lb >/dev/null
    while [ "$(curl -s http://127.0.0.1:8081/)" != "$generation" ]; do sleep 0.05; done
    save_state
    ;;
release)
    load_state
    launch "$2"
    previous=$live live=$2 candidate= percent=0
    apply
    prune
    ;;
rollback)
    load_state
    was=$live live=$previous previous=$was candidate= percent=0
    apply
    ;;
canary)
    load_state
    launch "$2"
    candidate=$2 percent=$3
    apply
    if ! watch_canary; then
        candidate= percent=0
        apply
        exit 3
    fi
    ;;
promote)
    load_state
    previous=$live live=$candidate candidate= percent=0
    apply
    prune
    ;;
esac
