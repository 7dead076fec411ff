# Exits with 1 where the file that the loop touches is older than 1.4 s.
[ ! -e /tmp/heartbeat ] || [ $(( $(date +%s%3N) - $(stat -c %.3Y /tmp/heartbeat | tr -d .) )) -lt 1400 ]
