#!/bin/sh
# certificates.sh: prints manifests for the edge. An authority, a certificate that it has signed, and last year's.
set -eu
cd "$(mktemp -d)"
new_key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
quietly() { "$@" 2> log || { cat log >&2; exit 1; }; }

quietly openssl req -x509 $new_key -subj "/CN=Lantern's own authority" -days 3650 -keyout ca.key -out ca.crt
quietly openssl req $new_key -subj /CN=edge -addext subjectAltName=DNS:edge -keyout edge.key -out edge.csr

signed() { # signed NOT_BEFORE NOT_AFTER
  quietly openssl x509 -req -in edge.csr -copy_extensions copy -CA ca.crt -CAkey ca.key \
    -not_before "$1" -not_after "$2"
}
this_year=$(date +%Y)
secret() { # secret NAME CERTIFICATE
  echo "---"
  echo "{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {name: $1}, data: {tls.key: $(base64 --wrap 0 edge.key), tls.crt: $(printf '%s\n' "$2" | base64 --wrap 0)}}"
}
echo "{apiVersion: v1, kind: ConfigMap, metadata: {name: authority}, binaryData: {ca.crt: $(base64 --wrap 0 ca.crt)}}"
secret edge-tls "$(signed "$((this_year - 1))0101000000Z" "$((this_year + 9))0101000000Z")"
secret edge-tls-expired "$(signed "$((this_year - 2))0101000000Z" "$((this_year - 1))0101000000Z")"
