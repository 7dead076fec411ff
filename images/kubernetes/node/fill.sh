#!/bin/bash
# Fills etcd while the image is built: with what the API server makes at its first start, and the system's objects.
# A new cluster begins with that, instead of making it when somebody waits.
set -eu
. /usr/local/bin/control-plane.sh
mkdir -p $LOGS
start_etcd
kubeadm init phase certs all
start_apiserver
kubeadm init phase kubeconfig super-admin
as_owner() { kubectl --kubeconfig=/etc/kubernetes/super-admin.conf --server=https://localhost:6443 "$@"; }
for _ in {1..600}; do as_owner get --raw=/readyz >/dev/null 2>&1 && break; sleep 0.1; done
as_owner apply --server-side --filename /etc/kubernetes/system
touch /run/stopping
end apiserver
kill -KILL "$(</run/apiserver.pid)" 2>/dev/null || true
# These are of that server and its authorities, which end here; it would have made them again.
etcdctl del /registry/configmaps/kube-system/extension-apiserver-authentication
etcdctl del --prefix /registry/leases/
etcdctl del --prefix /registry/masterleases/
end etcd
wait
# etcd reserves 64 MB for what it will write: holes are not packed.
cp --recursive --sparse=always /var/lib/etcd /holes
tar --sparse -C /holes -cf /etcd.tar member
