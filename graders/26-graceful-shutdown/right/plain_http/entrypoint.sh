# The shell stays process 1: it passes the signal on, and its child's exit code back.
case "$1" in
  worker) program=worker.mjs ;;
  *) program=server.mjs ;;
esac
node "$program" &
child=$!
trap 'kill -TERM $child' TERM
code=143
# A trap ends the wait, and says so by 143.
while [ "$code" = 143 ]; do
  wait $child
  code=$?
done
exit "$code"
