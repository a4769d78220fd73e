#!/bin/bash
# Every allocation of a command fails once in turn, Weir's own and jansson's; so does every one from there on.  Each time the
# command must end with an error and a message, or, where it can do without, print and write what it does otherwise; never
# end with a signal, a leak or a report of the sanitizers.
#
#   cmake --preset faults && cmake --build --preset faults
#   bash tests/soak/every_allocation.sh [STRIDE]         every STRIDE-th allocation (default: 1)
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
weir=${WEIR:-$here/build/faults/bin/weir}
stride=${1:-1}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export LSAN_OPTIONS=suppressions=$here/tests/lsan.supp:print_suppressions=0 ASAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=exitcode=99
cd "$work" || exit 1

# What a run printed and wrote, without times.
result() {
    sed -E 's/[0-9.]+ (s$|tok\/s)|bubble [0-9.]+%|eta .*//g' out
    [ ! -d out.d ] || sha256sum out.d/*
}

allocations() {
    rm -rf log out.d
    WEIR_FAULT_LOG=log "$@" >out 2>/dev/null || return 1
    result >wanted
    sed -n 's/^allocations //p' log | tail -n 1
}

bad=0
# round NAME SUFFIX COUNT COMMAND..
round() {
    local name=$1 suffix=$2 count=$3 n code failed=0 without=0
    shift 3
    for ((n = 1; n <= count; n += stride)); do
        rm -rf out.d; WEIR_FAULT=alloc:$n$suffix timeout 60 "$@" >out 2>err
        code=$?
        if [ $code -eq 0 ] && ! result | cmp -s - wanted; then
            printf '%s: alloc:%d%s succeeds with another result\n' "$name" "$n" "$suffix"
            bad=1
        elif [ $code -eq 0 ]; then
            without=$((without + 1))
        elif [ $code -ge 90 ] || [ "$(grep -c ^weir err)" -lt 1 ]; then
            printf '%s: alloc:%d%s ends with status %d: %s\n' "$name" "$n" "$suffix" $code "$(head -c 2000 err)"
            bad=1
        else
            failed=$((failed + 1))
        fi
    done
    printf '%s, alloc:n%s: %d allocations, %d failures reported, %d runs without need of it\n' "$name" "$suffix" "$count" \
        $failed $without
}

check() {
    local name=$1 count
    shift
    count=$(allocations "$@") || {
        printf '%s: fails without a fault\n' "$name"
        bad=1
        return
    }
    round "$name" '' "$count" "$@"
    round "$name" + "$count" "$@"
}

"$weir" schedule make 1f1b -p 2 -m 3 >s.csv || exit 1
printf 'one two three four five six seven eight nine ten eleven twelve' >text
check 'schedule make' "$weir" schedule make 1f1b -p 2 -m 3
check 'schedule check' "$weir" schedule check s.csv
check 'schedule simulate' "$weir" schedule simulate s.csv --json
check plan "$weir" plan --model gpt2-tiny --devices 2
check "train and export" "$weir" train --model gpt2-tiny --data text --seq-len 8 --steps 1 --stages 2 --microbatches 2 \
    --microbatch-size 1 --export out.d
exit $bad
