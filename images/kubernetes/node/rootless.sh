#!/bin/bash
# The same node, whose root is an ordinary user for the kernel: rootless.sh start, and then it calls itself.
# It needs what any container may do, /dev/net/tun, a list of system calls with namespaces, and cgroup version 1.
set -eu
HOME_OF_RUN=/run/user/1000

hierarchies() { awk '$3 == "cgroup" { sub(".*/", "", $2); print $2 }' /proc/mounts | sort -u; }

mount_hierarchy() { # mount_hierarchy NAME FOLDER: as this namespace sees it, which is writable where the mounted one is not
  local kind=$1
  [ "$kind" = systemd ] && kind=none,name=systemd
  mkdir -p "$2" && mount -t cgroup -o "$kind" cgroup "$2"
}

# As root of the container, which has no further capability.
start() {
  [ ! -e /dev/net/tun ] || chmod 666 /dev/net/tun
  [ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
  [ -e /dev/kmsg ] || ln -s /dev/null /dev/kmsg
  # Here crun would show each pod the node's own /sys, with the names of all network devices.
  sed -i 's|/usr/bin/crun|/usr/sbin/runc|' /etc/containerd/config.toml
  mkdir -p $HOME_OF_RUN /var/log/kubernetes /var/log/pods /var/log/containers /var/lib/cni /usr/libexec/kubernetes
  # Once: what pods have written since is theirs.
  for folder in /etc/kubernetes /var/lib/{etcd,kubelet,volumes,cni,containerd} /var/log /usr/libexec/kubernetes; do
    [ "$(stat -c %U "$folder")" = student ] || chown -R student:student "$folder"
  done
  chown -R student:student /run
  rm -rf ${HOME_OF_RUN:?}/* /tmp/mapped
  # A namespace that knows root and the user alone may mount the cgroups of this container so that they can be written.
  mkfifo /tmp/mapped
  NODE=$$ unshare --user --mount --cgroup sh -c "read _ </tmp/mapped; exec bash $0 delegate" &
  until [ "$(readlink /proc/$!/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.02; done
  # The kernel takes a map in one write alone, and bash makes one of each line.
  for map in uid_map gid_map; do /usr/bin/printf '0 0 1\n1000 1000 1\n' >/proc/$!/$map; done
  echo >/tmp/mapped
  wait $!
  cd /
  exec setpriv --reuid=student --regid=student --init-groups env HOME=/home/student XDG_RUNTIME_DIR=$HOME_OF_RUN \
    rootlesskit --state-dir=$HOME_OF_RUN/rootlesskit --cgroupns --pidns --propagation=rslave \
    --net=slirp4netns --mtu=65520 --disable-host-loopback --slirp4netns-sandbox=false --slirp4netns-seccomp=false \
    --port-driver=builtin -p 0.0.0.0:6443:6443/tcp -p 0.0.0.0:32767:32767/tcp -p 0.0.0.0:32080:32080/tcp \
    bash "$0" enter
}

# Gives the user a group below the container's own, whose limits stay root's, and moves the node into it.
delegate() {
  mount -t tmpfs tmpfs /mnt
  for name in $(hierarchies); do
    mount_hierarchy "$name" "/mnt/$name"
    local group=/mnt/$name/node
    mkdir -p "$group"
    # A new group has no processors and no memory until it is told which.
    [ "$name" != cpuset ] || for file in cpus mems; do cat "/mnt/cpuset/cpuset.$file" >"$group/cpuset.$file"; done
    chown 1000:1000 "$group" "$group/cgroup.procs" "$group/tasks"
    echo "$NODE" >"$group/cgroup.procs"
  done
}

# As root of the user's namespace.
enter() {
  local names
  names=$(hierarchies)
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  for name in $names; do mount_hierarchy "$name" "/sys/fs/cgroup/$name"; done
  ROOTLESS=yes exec bash /usr/local/bin/node.sh
}

"$1"
