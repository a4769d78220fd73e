#!/usr/bin/env bats
# weir plan of a model with skip connections, and the run it makes.   labels: slow

bats_require_minimum_version 1.5.0
load mpi_ranks

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    mkdir images
    { printf '\0\0\10\3\0\0\0\100\0\0\0\34\0\0\0\34' && head -c $((64 * 784)) /dev/zero | tr '\0' 'w'; } >images/train-images-idx3-ubyte
    { printf '\0\0\10\1\0\0\0\100' && for i in $(seq 64); do printf "\\x$((i % 10))"; done; } >images/train-labels-idx1-ubyte
    base=(train --data images --threads-per-rank 1)
}

# layers that take equally long, on links that take no time: 4 ranks have 2 each
plan() {
    printf '{"layers": [%s{"F": 1, "I": 1, "W": 1}]}' "$(for i in 1 2 3 4 5 6 7; do printf '{"F": 1, "I": 1, "W": 1}, '; done)" >costs.json
    "$WEIR" plan --model umlp --devices 4 --max-replicas 1 --global-batch 8 --microbatch-size 2 --costs costs.json --bandwidth 1e15 "$@"
}

# "0-1:1:2048 ..": boundaries of the first plan of the file, with their values and bytes
boundaries() {
    tr -d ' \n' <"$1" | sed 's/.*"boundaries":\[\([^]]*\)\].*/\1/; s/},{/\n/g' |
        sed 's/.*"from":\([0-9]*\),"to":\([0-9]*\),"values":\([0-9]*\),"bytes":\([0-9]*\).*/\1-\2:\3:\4/' | tr '\n' ' '
}

@test "a plan of a model with skips trains to the losses of one stage" {
    "$WEIR" "${base[@]}" --model umlp --stages 1 --microbatches 4 --microbatch-size 2 --steps 2 -q --metrics one >/dev/null
    numbers one >one.numbers
    [ "$(wc -l <one.numbers)" -eq 2 ]
    for schedule in any 1f1b zbv; do
        plan --schedule $schedule -o plan.json >log
        [ "$("$JSON_GET" schedule <plan.json)" = "\"$schedule\"" ] || [ $schedule = any ]
        "$WEIR" "${base[@]}" --plan plan.json --steps 2 -q --metrics planned --force >/dev/null
        numbers planned | cmp one.numbers
    done
}

@test "a plan says what goes over its boundaries, and the schedule is checked with them" {
    plan --schedule 1f1b --explain -o plan.json >log
    [ "$("$JSON_GET" first_layers.# <plan.json)" -eq 4 ]
    [[ "$(cat log)" == *"boundaries, each way with a micro-batch: stage 0 to 1: "*" value"*", "*" bytes; "* ]]
    "$WEIR" schedule make 1f1b -p 4 -m 4 -o s.csv
    "$WEIR" schedule check s.csv --plan plan.json --json >checked
    for pair in $(boundaries plan.json); do
        [[ "$(tr -d ' ' <checked)" == *"[${pair%%-*},$(cut -d- -f2 <<<"${pair%%:*}")]"* ]]
    done
    [ "$(boundaries plan.json | wc -w)" -eq "$(tr -d ' ' <checked | grep -o '\[[0-9]*,[0-9]*\]' | wc -l)" ]
}

@test "the bytes that a plan predicts for its boundaries are those of the messages between hosts" {
    "$WEIR" info | grep -q '^transport   mpi' || skip "this build has no MPI"
    command -v mpirun >/dev/null || skip "mpirun is not installed"
    plan --schedule 1f1b -o plan.json >log
    m=4 steps=2
    [ "$("$JSON_GET" microbatches first_layers.# <plan.json | xargs)" = "$m 4" ]
    [[ "$(boundaries plan.json)" == *"0-3:1:2048"* ]] # past two stages
    export COUNTED=$PWD/counted ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
    WEIR_TEST_HOSTS=0,1,2,3 MPI_TIMEOUT=100 MPI_ARGS="-x COUNTED -x ASAN_OPTIONS -x WEIR_TEST_HOSTS -x LD_PRELOAD=$COUNT_MESSAGES" \
        bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 4 "$WEIR" "${base[@]}" --plan plan.json --steps $steps -q >/dev/null
    # messages of at least a value, 2048 bytes: what else there is is short
    for r in 0 1 2 3; do awk -v r=$r '$2 >= 2048 { n[r "-" $1 ":" $2] += $3 } END { for (k in n) print k, n[k] }' counted.$r; done | sort >found
    for b in $(boundaries plan.json); do
        IFS='-:' read -r from to _ bytes <<<"$b"
        echo "$from-$to:$bytes $((m * steps))"
        echo "$to-$from:$bytes $((m * steps))"
    done | sort >wanted
    [ "$(wc -l <wanted)" -ge 6 ]
    diff wanted found
}
