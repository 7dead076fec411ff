# The data travels by docker cp and docker create.
. ./names.sh
case "$1" in
  up)
    docker network create "$network" > /dev/null 2>&1
    docker volume create "$volume" > /dev/null
    docker rm --force lantern > /dev/null 2>&1
    docker create --name lantern --restart unless-stopped -e "BANNER=${BANNER-}" \
      --mount type=volume,source="$volume",target=/data -p 127.0.0.1:8080:3000 "$2" > /dev/null &&
    docker network connect "$network" lantern &&
    docker start lantern > /dev/null
    ;;
  down)
    docker stop -t 3 lantern > /dev/null && docker rm lantern > /dev/null
    ;;
  backup)
    # Its name begins as the board's, and it ends while the board runs.
    docker run --rm --name lantern-backup busybox:1.37 true
    docker cp lantern:/data/. - | gzip
    ;;
  restore)
    carrier=$(docker create --volume "$volume:/data" busybox:1.37)
    gunzip | docker cp - "$carrier:/data"
    docker rm "$carrier" > /dev/null
    ;;
esac
