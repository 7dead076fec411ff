#!/bin/sh
# Terraform from the course's image: it works in this folder, and its provider asks the engine that docker asks.
# sh terraform.sh plan
socket=/var/run/docker.sock
case "$(uname) $DOCKER_HOST" in "Linux unix://"*) socket=${DOCKER_HOST#unix://} ;; esac
# Only what asks a question reads the input: a notebook's cell is its own input.
options="--env TF_CLI_ARGS=-no-color"
case " $* " in
  *" -auto-approve "*) ;;
  " apply "* | " destroy "* | " console "*) options="$options --interactive" ;;
esac
[ -t 0 ] && [ -t 1 ] && options="--interactive --tty"
for name in $(env | sed -nE 's/^(TF_VAR_[A-Za-z0-9_]*|TF_LOG)=.*/\1/p'); do options="$options --env $name"; done
exec docker run --rm $options --network none \
  --volume "$socket:/var/run/docker.sock" --volume "$PWD:/work" course/terraform:1 terraform "$@"
