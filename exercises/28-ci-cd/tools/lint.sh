#!/bin/sh
# Looks for what never belongs into a commit. Exit code 1 where it finds something.
set -eu
cd "$(dirname "$0")/.."
found=0
for file in *.js test/*.js; do
  node --check "$file" || found=1
  if grep -nHE '[[:blank:]]+$|\bdebugger\b|\bvar ' "$file"; then
    found=1
  fi
done
[ "$found" = 0 ] && echo "lint: nothing found"
exit "$found"
