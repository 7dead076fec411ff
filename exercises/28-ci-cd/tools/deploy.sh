#!/bin/sh
# deploy.sh IMAGE: production runs this image, under the name lantern-prod. It wants DEPLOY_TOKEN.
set -eu
: "${DEPLOY_TOKEN:?deploy.sh wants the variable DEPLOY_TOKEN}"
docker image inspect "$1" > /dev/null
docker rm --force lantern-prod > /dev/null 2>&1 || true
# Whose token it was can be told later; the token itself can't.
fingerprint=$(printf %s "$DEPLOY_TOKEN" | sha256sum | cut -c 1-12)
docker run --detach --name lantern-prod --network lantern --publish 127.0.0.1:8080:3000 \
  --env STAGE=production --label deployed-with="$fingerprint" --init "$1" > /dev/null
echo "deploy: lantern-prod runs $1"
