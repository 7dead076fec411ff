#!/bin/sh
# Makes a template of /template, an engine's stopped data root: what a sandbox copies stands in
# seed/ afterwards, and each layer in it is a link to where the template keeps it.
set -eu
cd /template
rm -rf seed seed.new
mkdir -p seed.new/overlay2
for part in buildkit containerd engine-id image network; do
  [ ! -e "$part" ] || cp -a "$part" seed.new/
done
cp -a overlay2/l seed.new/overlay2/
for layer in overlay2/*/; do
  name=$(basename "$layer")
  [ "$name" != l ] || continue
  mkdir -p "seed.new/overlay2/$name/work"
  for part in link lower committed; do
    [ ! -e "overlay2/$name/$part" ] || cp -a "overlay2/$name/$part" "seed.new/overlay2/$name/"
  done
  ln -s "/template/overlay2/$name/diff" "seed.new/overlay2/$name/diff"
  chown -h --reference="overlay2/$name" "seed.new/overlay2/$name" "seed.new/overlay2/$name/work"
  chmod --reference="overlay2/$name" "seed.new/overlay2/$name"
done
chown --reference=overlay2 seed.new/overlay2
chmod --reference=overlay2 seed.new/overlay2
mv seed.new seed
du -sk seed | cut -f1
