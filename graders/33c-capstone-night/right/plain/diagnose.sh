# Another order: what is measured first, what is written down last.
answer=none
ip() { kubectl get pod -l app="$1" -o jsonpath='{.items[0].status.podIP}'; }
measure() { # measure IP NAME
  curl -s -m 4 "http://$1:9100/metrics" | grep "^$2 " | cut -d ' ' -f 2
}
more() { awk "BEGIN { exit !(${1:-0} > ${2:-0}) }"; }

edge=$(ip edge) worker=$(ip worker)

late=0
for look in 1 2 3; do
  sleep 1
  if more "$(measure "$edge" event_loop_lag_seconds)" 0.5; then late=$((late + 1)); fi
done
[ "$late" -lt 2 ] || answer=event-loop

[ "$answer" != none ] || ! more "$(measure "$edge" db_pool_waiting)" 0 ||
  more "$(measure "$edge" db_pool_size)" "$(measure "$edge" db_pool_in_use)" || answer=pool
! more "$(measure "$worker" queue_messages)" 19 || answer=queue

for name in unfinished unsent of_show; do
  kubectl exec deploy/db -- psql -U lantern -At -c '\di' | grep -q "|$name|" || answer=index
done

curl -sv -m 4 --cacert /etc/lantern/ca.crt https://edge/ 2>&1 | grep -q 'certificate has expired' && answer=certificate

# What a setting calls a host must be a Service.
services=" $(kubectl get services -o jsonpath='{.items[*].metadata.name}') "
hosts=$(kubectl get configmap settings -o jsonpath='{.data.DATABASE_HOST} {.data.REDIS_URL} {.data.NATS_URL}' |
  sed 's|[a-z]*://||g; s|:[0-9]*||g')
for host in $hosts; do
  case $services in *" $host "*) ;; *) answer=name ;; esac
done

for app in edge worker; do
  kubectl logs -l app=$app --tail=40 --since=4s | grep -q 'password authentication failed' && answer=secret
done

for service in edge db cache broker; do
  chosen=$(kubectl get service $service -o jsonpath='{.spec.selector.app}')
  [ -n "$(kubectl get pods -l app="$chosen" -o name)" ] || answer=selector
done

echo "{\"fault\":\"$answer\"}"
