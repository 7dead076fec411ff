# pack.sh NAME FOLDER FILE: packs a folder as an image of one layer that `ctr images import` reads; no engine is needed.
set -e
work=$(mktemp -d)
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$2" -cf "$work/layer.tar" .
digest=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
cat >"$work/config.json" <<X
{"architecture": "$(dpkg --print-architecture)", "os": "linux", "config": {"Cmd": ["/pause"]},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$digest"]}}
X
echo "[{\"Config\": \"config.json\", \"RepoTags\": [\"$1\"], \"Layers\": [\"layer.tar\"]}]" >"$work/manifest.json"
tar -C "$work" -cf "$3" manifest.json config.json layer.tar
rm -r "$work"
