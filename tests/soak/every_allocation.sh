#!/bin/bash
# Every allocation of a command fails once in turn, Weir's own and jansson's; so does every one from there on.  Each time the
# command must end with an error and a message, or, where it can do without, print and write what it does otherwise; never
# end with a signal, a leak or a report of the sanitizers.
#
#   cmake --preset faults && cmake --build --preset faults
#   bash tests/soak/every_allocation.sh [STRIDE [NAME [FIRST]]]    every STRIDE-th allocation (default: 1) from FIRST (1) on of the
#                                                                  commands whose name begins with NAME (default: all)
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
weir=${WEIR:-$here/build/faults/bin/weir}
stride=${1:-1} wanted_name=${2:-} first=${3:-1}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export LSAN_OPTIONS=suppressions=$here/tests/lsan.supp:print_suppressions=0 ASAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=exitcode=99
cd "$work" || exit 1

# What a run printed and wrote, without times; of a checkpoint that is what it holds.
result() {
    LC_ALL=C sed -E 's/[0-9.]+ (s$|tok\/s)|bubble [0-9.]+%|eta .*//g' out
    [ ! -d out.d ] || find out.d -type f ! -name manifest.json | sort | xargs sha256sum
    [ ! -d out.d ] || find out.d -name manifest.json -exec sed -E -e 's/"xxh3":"[0-9a-f]*"//' -e 's/"seconds":[^,]*//' {} +
}

# What is there before each run.
prepare() {
    rm -rf out.d
    [ ! -d before.d ] || cp -r before.d out.d
}

allocations() {
    rm -f log
    prepare
    WEIR_FAULT_LOG=log "$@" >out 2>/dev/null || return 1
    result >wanted
    sed -n 's/^allocations //p' log | tail -n 1
}

bad=0
# round NAME SUFFIX COUNT COMMAND..
round() {
    local name=$1 suffix=$2 count=$3 n code failed=0 without=0
    shift 3
    for ((n = first; n <= count; n += stride)); do
        prepare
        WEIR_FAULT=alloc:$n$suffix timeout 60 "$@" >out 2>err
        code=$?
        if [ $code -eq 0 ] && ! result | cmp -s - wanted; then
            printf '%s: alloc:%d%s succeeds with another result\n' "$name" "$n" "$suffix"
            bad=1
        elif [ $code -eq 0 ]; then
            without=$((without + 1))
        elif [ $code -ge 90 ] || { ! grep -q '^weir' err && ! grep -q ': not readable: ' out; }; then
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
    [[ $name == "$wanted_name"* ]] || return 0
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
printf '{"number": 3.141592653589793238, "text": "%s"}\n' "$(cat text)" >text.jsonl
check "train and export" "$weir" train --model gpt2-tiny --data text.jsonl --seq-len 8 --steps 1 --stages 2 --microbatches 2 \
    --microbatch-size 1 --export out.d

# Checkpoints, of a model of a few thousand parameters.
cat >config.json <<'END'
{"model_type": "llama", "vocab_size": 256, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
 "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32, "rms_norm_eps": 1e-5,
 "rope_theta": 10000.0, "tie_word_embeddings": false, "hidden_act": "silu"}
END
train=("$weir" train --model config.json --data text --seq-len 8 --microbatches 2 --microbatch-size 1 --checkpoint-dir out.d -q)
check 'checkpoint: train' "${train[@]}" --steps 1 --checkpoint-sync
"${train[@]}" --steps 1 --checkpoint-dir before.d || exit 1
check 'checkpoint: resume' "${train[@]}" --steps 2 --resume --keep 2
mv before.d D
check 'checkpoint: verify' "$weir" checkpoint verify D
check 'checkpoint: convert' "$weir" checkpoint convert D out.d
"$weir" checkpoint convert D model >/dev/null || exit 1
check 'checkpoint: of a model' "$weir" checkpoint convert model out.d
check 'checkpoint: compare' "$weir" checkpoint compare D D --json
exit $bad
