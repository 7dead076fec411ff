#!/bin/bash
# One whole Kubernetes node: etcd, the control plane, kubelet and kube-proxy as processes of this container.
# Each that ends is started again; SIGTERM ends all of them, etcd last.
set -u
LOGS=/var/log/kubernetes
PKI=/etc/kubernetes/pki
# An address of our own on the loopback device stays the same when the engine gives the container another one.
ADDRESS=10.95.0.1
export KUBECONFIG=/etc/kubernetes/super-admin.conf

mark() { echo "${EPOCHREALTIME/,/.} $*"; }

keep() { # keep NAME COMMAND...: runs it until the node stops, with its log in $LOGS/NAME.log
  local name=$1
  shift
  while [ ! -e /run/stopping ]; do
    "$@" >>"$LOGS/$name.log" 2>&1 &
    echo $! >"/run/$name.pid"
    wait $!
    [ -e /run/stopping ] || { mark "$name ended with code $?, and starts again"; sleep 0.5; }
  done &
}

stop() {
  trap '' TERM INT
  touch /run/stopping
  for name in kubelet proxy controller-manager scheduler apiserver; do kill -TERM "$(</run/$name.pid)"; done 2>/dev/null
  # The API server lets requests end first, for longer than a person waits.
  for _ in {1..10}; do [ -d "/proc/$(</run/apiserver.pid)" ] || break; sleep 0.1; done
  kill -TERM "$(</run/etcd.pid)" 2>/dev/null
  for _ in {1..10}; do [ -d "/proc/$(</run/etcd.pid)" ] || break; sleep 0.1; done
  mark stopped
  exit 0
}

ask() { curl --silent --output /dev/null --cacert $PKI/ca.crt "$@"; }

prepare_machine() {
  rm -rf /run/stopping /run/*.pid /run/containerd
  mkdir -p $LOGS
  [ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
  [ -e /dev/kmsg ] || ln -s /dev/null /dev/kmsg
  ip address add $ADDRESS/32 dev lo 2>/dev/null
  # While kube-proxy changes its tables, one after the other, an address of a Service may lead nowhere for a moment:
  # it is refused, as one without endpoints is, and never leaves for the host's network. Where there are policies,
  # kube-router's chains come first and accept what they let through: so it stands at their top, too.
  iptables-restore --noflush <<X
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

kubeadm() { kube kubeadm "$@" --config /etc/kubernetes/kubeadm.yaml >>$LOGS/kubeadm.log 2>&1; }

start_apiserver() {
  keep apiserver kube apiserver \
    --etcd-servers=http://127.0.0.1:2379 --advertise-address=$ADDRESS --secure-port=6443 \
    --authorization-mode=Node,RBAC --enable-bootstrap-token-auth --allow-privileged=true \
    --enable-admission-plugins=NodeRestriction,DenyServiceExternalIPs \
    --admission-control-config-file=/etc/kubernetes/admission.yaml \
    --client-ca-file=$PKI/ca.crt --tls-cert-file=$PKI/apiserver.crt --tls-private-key-file=$PKI/apiserver.key \
    --kubelet-client-certificate=$PKI/apiserver-kubelet-client.crt --kubelet-client-key=$PKI/apiserver-kubelet-client.key \
    --kubelet-preferred-address-types=InternalIP \
    --service-cluster-ip-range=10.96.0.0/16 \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-signing-key-file=$PKI/sa.key --service-account-key-file=$PKI/sa.pub \
    --requestheader-client-ca-file=$PKI/front-proxy-ca.crt --requestheader-allowed-names=front-proxy-client \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
    --requestheader-username-headers=X-Remote-User \
    --proxy-client-cert-file=$PKI/front-proxy-client.crt --proxy-client-key-file=$PKI/front-proxy-client.key \
    --enable-aggregator-routing --profiling=false --shutdown-delay-duration=0s
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

# Refused until the API server has made its first namespaces.
apply_system() {
  kubectl apply --server-side --force-conflicts --validate=false --filename /etc/kubernetes/system >$LOGS/system.log 2>&1
}

# What nobody waits for, once the rest has had what it needs of the processors.
start_later() {
  until kubectl --namespace kube-system wait --for=condition=Available deployments --all; do sleep 0.1; done
  keep policies kube policies --kubeconfig=/etc/kubernetes/super-admin.conf --hostname-override=node \
    --service-cluster-ip-range=10.96.0.0/16
  until kubectl apply --server-side --force-conflicts --filename /etc/kubernetes/later; do sleep 0.1; done
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
# The data of a course outlives no power cut: what fsync costs is not paid.
keep etcd etcd --data-dir /var/lib/etcd --unsafe-no-fsync --quota-backend-bytes=268435456 \
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380 --heartbeat-interval=20 --election-timeout=100
kubeadm init phase certs all
mark certificates made
start_apiserver
load_images 2>&1 | tail -1 &
kubeadm init phase kubeconfig all
until ask https://localhost:6443/; do sleep 0.05; done
mark API answers
keep kubelet kube kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/etc/kubernetes/kubelet.yaml \
  --hostname-override=node --node-ip=$ADDRESS --register-node --housekeeping-interval=2s \
  ${ROOTLESS:+--feature-gates=KubeletInUserNamespace=true}
start_controllers
keep proxy kube proxy --config=/etc/kubernetes/proxy.yaml --hostname-override=node
until apply_system; do sleep 0.1; done
mark system objects applied
start_later >$LOGS/later.log 2>&1 &
while :; do wait; sleep 1; done
