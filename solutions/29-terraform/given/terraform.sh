#!/bin/sh
# Terraform from the course's image: it works in this folder, and its provider asks the engine that docker asks.
# sh terraform.sh plan
socket=/var/run/docker.sock
case "$(uname) $DOCKER_HOST" in "Linux unix://"*) socket=${DOCKER_HOST#unix://} ;; esac
terminal="--env TF_CLI_ARGS=-no-color" variables=
[ -t 0 ] && [ -t 1 ] && terminal=--tty
for name in $(env | sed -nE 's/^(TF_VAR_[A-Za-z0-9_]*|TF_LOG)=.*/\1/p'); do variables="$variables --env $name"; done
exec docker run --rm --interactive $terminal --network none $variables \
  --volume "$socket:/var/run/docker.sock" --volume "$PWD:/work" course/terraform:1 terraform "$@"
