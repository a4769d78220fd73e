#!/bin/bash
# Which files of the library call each other in circles?
#
#     call_circles.sh ALLOWED FILE.a|FILE.o...
#
# File a depends on b when a uses a symbol that b defines.  ALLOWED (tests/circles.txt) lists dependencies that close a circle
# and may stay, one a line: `a.c b.c reason`.  What is left without them must have an order.  Fails, naming the files, when
# it has none, and when a line of ALLOWED is not needed.
set -euo pipefail
allowed=$1
shift
objects=("$@")

# "a.c b.c" for every dependency between two of the objects
dependencies() {
  nm -A -P "${objects[@]}" | awk '
    { file = $1; sub(/^.*[\[\/]/, "", file); sub(/\.o\]?:$/, "", file) }
    $3 == "U" { used[++n] = file " " $2; next }
    $3 ~ /[A-TV-Z]/ { home[$2] = file }
    END { for (i = 1; i <= n; i++) {
            split(used[i], u, " ")
            if (u[2] in home && home[u[2]] != u[1]) print u[1], home[u[2]] } }' | sort -u
}

# what tsort says of its input's circles, which it fails on
circles() { { tsort 2>&1 >/dev/null || true; } | sed 's/^tsort: //'; }

rows=$(grep -v '^#' "$allowed" | grep -v '^ *$' || true)
short=$(awk 'NF < 3' <<<"$rows")
[ -z "$rows" ] || [ -z "$short" ] || { printf 'a line without two files and a reason:\n%s\n' "$short"; exit 1; }
all=$(dependencies)
[ "$(wc -l <<<"$all")" -gt 100 ] || { echo "${objects[0]}: no dependencies found: is it the library?"; exit 1; }
left=$(grep -vxFf <(awk '{ print $1, $2 }' <<<"$rows"; echo '- -') <<<"$all")
found=$(circles <<<"$left")
status=0
if [ -n "$found" ]; then
  printf 'files that call each other in a circle:\n%s\n' "$found"
  status=1
fi
while read -r from to _; do
  [ -n "$from" ] || continue
  if [ -z "$(printf '%s\n%s %s\n' "$left" "$from" "$to" | circles)" ] || ! grep -qxF "$from $to" <<<"$all"; then
    echo "$allowed: '$from $to' closes no circle: take the line out"
    status=1
  fi
done <<<"$rows"
exit $status
