#!/bin/bash
# One whole Kubernetes node: etcd, the control plane, kubelet and kube-proxy as processes of this container.
# Each that ends is started again; SIGTERM ends all of them, etcd last.
set -u
. /usr/local/bin/control-plane.sh
export KUBECONFIG=/etc/kubernetes/super-admin.conf

stop() {
  trap '' TERM INT
  touch /run/stopping
  for name in kubelet proxy controller-manager scheduler; do kill -TERM "$(</run/$name.pid)"; done 2>/dev/null
  # The API server lets requests end first, for longer than a person waits.
  end apiserver
  end etcd
  mark stopped
  exit 0
}

prepare_machine() {
  rm -rf /run/stopping /run/*.pid /run/containerd
  mkdir -p $LOGS
  [ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
  [ -e /dev/kmsg ] || ln -s /dev/null /dev/kmsg
  ip address add $ADDRESS/32 dev lo 2>/dev/null
  # What pods send to the world carries the node's address, by one rule for all: ptp's `ipMasq` would make two for each pod.
  # While kube-proxy changes its tables, one after the other, an address of a Service may lead nowhere for a moment:
  # it is refused, as one without endpoints is, and never leaves for the host's network. Where there are policies,
  # kube-router's chains come first and accept what they let through: so it stands at their top, too.
  iptables-restore --noflush <<X
*nat
-A POSTROUTING -s 10.244.0.0/24 ! -d 10.244.0.0/24 -j MASQUERADE
COMMIT
*filter
:KUBE-ROUTER-FORWARD - [0:0]
:KUBE-ROUTER-OUTPUT - [0:0]
$(for chain in FORWARD OUTPUT KUBE-ROUTER-FORWARD KUBE-ROUTER-OUTPUT; do
    echo "-A $chain -d 10.96.0.0/16 -p tcp -j REJECT --reject-with tcp-reset"
    echo "-A $chain -d 10.96.0.0/16 -j REJECT"
  done)
COMMIT
X
  mount --make-rshared /
  [ -n "${ROOTLESS:-}" ] || own_cgroups
}

own_cgroups() {
  mount -o remount,rw /sys
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    # Version 2: a group with processes gives no controllers to its children, so ours move into a leaf.
    mount -o remount,rw /sys/fs/cgroup
    mkdir -p /sys/fs/cgroup/node
    xargs -rn1 </sys/fs/cgroup/cgroup.procs >/sys/fs/cgroup/node/cgroup.procs 2>/dev/null
    sed 's/\S\+/+&/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
  else
    # Version 1: each hierarchy again, rooted at this container's own group, or it is read-only.
    awk '$3 == "cgroup" { print $2 }' /proc/mounts | while read -r folder; do
      name=${folder##*/}
      [ "$name" = systemd ] && name=none,name=systemd
      umount "$folder" && mount -t cgroup -o "$name" cgroup "$folder"
    done
  fi
}

# The system's objects are in every cluster the same: they are made when the image is, see fill.sh.
fill_etcd() {
  [ ! -e /var/lib/etcd/member ] || return
  # Whole or not at all, also where the container is killed meanwhile.
  mkdir -p /var/lib/etcd/new
  tar --no-same-owner -C /var/lib/etcd/new -xf /usr/share/kubernetes/etcd.tar && mv /var/lib/etcd/new/member /var/lib/etcd/
}

identity() { echo "--kubeconfig=/etc/kubernetes/$1.conf --authentication-kubeconfig=/etc/kubernetes/$1.conf --authorization-kubeconfig=/etc/kubernetes/$1.conf"; }

start_controllers() {
  # shellcheck disable=SC2046 # a list of options
  keep controller-manager kube controller-manager $(identity controller-manager) \
    --root-ca-file=$PKI/ca.crt --cluster-signing-cert-file=$PKI/ca.crt --cluster-signing-key-file=$PKI/ca.key \
    --client-ca-file=$PKI/ca.crt --requestheader-client-ca-file=$PKI/front-proxy-ca.crt \
    --service-account-private-key-file=$PKI/sa.key --use-service-account-credentials \
    --horizontal-pod-autoscaler-sync-period=5s --horizontal-pod-autoscaler-initial-readiness-delay=5s \
    --leader-elect=false --profiling=false --kube-api-qps=500 --kube-api-burst=1000
  # shellcheck disable=SC2046 # as above
  keep scheduler kube scheduler $(identity scheduler) \
    --leader-elect=false --profiling=false --kube-api-qps=500 --kube-api-burst=1000
}

# After a crash the API remembers how all was before it: metrics, which come last, are only there when they are.
tell_ready() {
  until kubectl get --raw /apis/metrics.k8s.io/v1beta1/nodes >/dev/null; do sleep 1; done
  mark system is ready >&3
}

# What nobody waits for, once the rest has had what it needs of the processors.
start_later() {
  until kubectl --namespace kube-system wait --for=condition=Available deployments --all; do sleep 0.1; done
  tell_ready &
  keep policies kube policies --kubeconfig=/etc/kubernetes/super-admin.conf --hostname-override=node \
    --service-cluster-ip-range=10.96.0.0/16
  # The system again: what was deleted of it comes back with the next start.
  until kubectl apply --server-side --force-conflicts --filename /etc/kubernetes/system --filename /etc/kubernetes/later
  do sleep 0.1; done
}

load_images() {
  until ctr version >/dev/null 2>&1; do sleep 0.05; done
  ctr --namespace k8s.io images import --all-platforms /usr/share/kubernetes/system.tar
  mark images loaded
}

mark "node starts"
trap stop TERM INT
prepare_machine
keep containerd containerd --config /etc/containerd/config.toml
fill_etcd
start_etcd
kubeadm init phase certs all
mark certificates made
start_apiserver --etcd-is-filled
load_images 2>&1 | tail -1 &
kubeadm init phase kubeconfig all
until ask https://localhost:6443/; do sleep 0.05; done
mark API answers
keep kubelet kube kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/etc/kubernetes/kubelet.yaml \
  --hostname-override=node --node-ip=$ADDRESS --register-node --housekeeping-interval=2s \
  ${ROOTLESS:+--feature-gates=KubeletInUserNamespace=true}
start_controllers
keep proxy kube proxy --config=/etc/kubernetes/proxy.yaml --hostname-override=node
start_later 3>&1 >$LOGS/later.log 2>&1 &
while :; do wait; sleep 1; done
