# etcd and the API server: what the node runs, and what fills etcd while the image is built.
LOGS=/var/log/kubernetes
PKI=/etc/kubernetes/pki
# An address of our own on the loopback device stays the same when the engine gives the container another one.
ADDRESS=10.95.0.1

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

end() { # end NAME: asks it to, and gives it a second
  kill -TERM "$(</run/"$1".pid)" 2>/dev/null
  for _ in {1..10}; do [ -d "/proc/$(</run/"$1".pid)" ] || break; sleep 0.1; done
}

ask() { curl --silent --output /dev/null --cacert $PKI/ca.crt "$@"; }

kubeadm() { kube kubeadm "$@" --config /etc/kubernetes/kubeadm.yaml >>$LOGS/kubeadm.log 2>&1; }

# The data of a course outlives no power cut: what fsync costs is not paid.
start_etcd() {
  keep etcd etcd --data-dir /var/lib/etcd --unsafe-no-fsync --quota-backend-bytes=268435456 \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --heartbeat-interval=20 --election-timeout=100
}

start_apiserver() { # start_apiserver OPTION...: further options
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
    --enable-aggregator-routing --profiling=false --shutdown-delay-duration=0s "$@"
}
