#!/bin/bash
# Long fuzzing: every parser of bytes from outside, each for so many seconds, two at a time.
#
#     tests/soak/fuzzing.sh [SECONDS [TARGET...]]      600 seconds; all targets of tests/fuzz
#
# Builds them first (preset `fuzz`: clang, libFuzzer, address and undefined-behaviour sanitizers).  Prints a line per target:
# runs, edges reached, findings.  A finding is kept in build/fuzz/findings and makes the exit status 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-600}
shift || true
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target fuzz | tail -n 1
[ $# -gt 0 ] || mapfile -t < <(printf '%s\n' tests/fuzz/fuzz_*.c | xargs -n 1 basename -s .c)
[ $# -gt 0 ] || set -- "${MAPFILE[@]}"
findings=$PWD/build/fuzz/findings
mkdir -p "$findings"
export findings seconds

target() { # NAME
    local log=$findings/$1.log corpus status=0 seeds=()
    corpus=$(mktemp -d)
    [ ! -d "tests/fuzz/seeds/$1" ] || seeds=("tests/fuzz/seeds/$1")
    "build/fuzz/tests/$1" -max_total_time="$seconds" -max_len=4096 -rss_limit_mb=4096 -artifact_prefix="$findings/$1-" \
        -print_final_stats=1 "$corpus" "${seeds[@]}" >"$log" 2>&1 || status=$?
    rm -rf "$corpus"
    printf '%-22s %10s runs  %6s edges  %s\n' "$1" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d ' ' -f 2)" \
        "$([ $status -eq 0 ] && echo "nothing found" || echo "FOUND: see $log")"
    return $status
}
export -f target
printf '%s\n' "$@" | xargs -P 2 -I '{}' bash -c 'target {}' || exit 1
