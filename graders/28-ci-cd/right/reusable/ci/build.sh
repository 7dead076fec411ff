# Builds the image of the commit that is checked out, and tries it.
set -eu
image="lantern:$(printf %.12s "$GITHUB_SHA")"
docker build --quiet --build-arg REVISION="$GITHUB_SHA" --tag "$image" .
container=$(docker run --detach --network lantern "$image")
trap 'docker rm --force --volumes "$container" > /dev/null' EXIT
address=$(docker inspect --format '{{.NetworkSettings.Networks.lantern.IPAddress}}' "$container")
sh tools/smoke.sh "http://$address:3000"
