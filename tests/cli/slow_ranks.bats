#!/usr/bin/env bats
# A rank that is slow by what was predicted is named while the run goes on.   labels: slow

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
}

# named_slow ARGUMENT..: a run goes on until somebody is said to be slow; what was said of whom is in the file `slow`
named_slow() {
    "$WEIR" train --data text --steps 100000000 -q "$@" >out 2>errors 3>&- &
    run=$!
    for _ in $(seq 1200); do
        if ! kill -0 "$run" || grep -q "is slow since" errors; then break; fi
        sleep 0.05
    done
    kill -TERM "$run"
    status=0
    wait "$run" || status=$?
    cat errors
    [ "$status" -eq 143 ]
    grep "is slow since" errors >slow
}

@test "a rank that takes longer than its costs say is named, with host, stage and factor" {
    printf '{"stages": [{"F": 1e6, "B": 1e6}, {"F": 1e-6, "B": 1e-6}]}' >costs.json
    named_slow --model gpt2-tiny --seq-len 16 --stages 2 --costs costs.json
    [ "$(wc -l <slow)" -eq 1 ]
    grep -qE "^weir train: rank 1 on $(hostname) is slow since step [0-9]+: [0-9.]+ times its planned compute time; it has stage 1, and the others wait for it$" slow
}

@test "times of layers are put together to the stages of the run" {
    { printf '{"layers": [{"F": 1e-6, "B": 1e-6}'; for _ in $(seq 13); do printf ', {"F": 1e6, "B": 1e6}'; done; printf ']}'; } >costs.json
    named_slow --model gpt2-tiny --seq-len 16 --first-layers 0,1,7 --costs costs.json
    grep -q "^weir train: rank 0 .* planned compute time; it has stage 0, " slow
}

@test "a plan that says how long ranks take is held to it" {
    "$WEIR" plan --model gpt2-tiny --devices 2 --max-replicas 1 --schedule 1f1b --recompute none --seq-len 16 --microbatch-size 2 \
        --microbatches 4 -o plan.json >log
    grep -q '"rank_ms"' plan.json
    tr -d '\n' <plan.json | sed 's/"rank_ms": *\[[^]]*\]/"rank_ms": [1e-6, 1e9]/' >odd.json
    named_slow --plan odd.json
    grep -q "^weir train: rank 0 .* planned compute time; it has stage 0, " slow
}

@test "costs that are not the run's are refused by name" {
    printf '{"stages": [{"F": 1, "B": 1}, {"F": 1, "B": 1}, {"F": 1, "B": 1}]}' >three.json
    printf '{"layers": [{"F": 1, "B": 1}, {"F": 1, "B": 1}]}' >layers.json
    for file in three.json layers.json nowhere.json; do
        run "$WEIR" train --model gpt2-tiny --data text --seq-len 16 --stages 2 --steps 1 -q --costs "$file"
        [ "$status" -eq 1 ]
        [ "${#lines[@]}" -eq 1 ]
        [[ "$output" == "weir train: "*"$file"* ]]
    done
}
