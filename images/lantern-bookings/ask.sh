#!/bin/bash
# Runs a query of /answer with its parameters, as the role app:
#   ask q2 ada-5 infinity 0       prints its rows
#   explain q2 ada-5 infinity 0   prints its plan, with the blocks that each step touched
set -eu
file=/answer/${1%.sql}.sql
[ -f "$file" ] || { echo "there is no $file: docker cp ${1%.sql}.sql CONTAINER:/answer/" >&2; exit 1; }
shift
how=
if [ "${0##*/}" = explain ]; then how="EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF)"; fi
values=
for value in "$@"; do values="$values, '${value//\'/\'\'}'"; done
psql --username=app --no-psqlrc --quiet --set=ON_ERROR_STOP=1 <<END
PREPARE query AS
$(cat "$file")
;
$how EXECUTE query(${values#, });
END
