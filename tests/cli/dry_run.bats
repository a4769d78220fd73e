#!/usr/bin/env bats
# weir train --device null: everything but the computing.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 2000); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
}

@test "a dry run says that nothing is computed, and what each device would have done" {
    "$WEIR" train --model gpt2-tiny --data text --device null --stages 2 --steps 2 >out 2>err
    [ "$(cat out)" = "issued 2 steps of gpt2-tiny on 2 stages: a dry run, nothing was computed" ]
    grep -q "a dry run: device 'null' computes nothing, losses are no numbers and times are those of issuing" err
    grep -q 'step 2/2 loss nan norm nan' err
    [ "$(grep -c "device 'null:[01]': [1-9][0-9]* kernel calls, [1-9][0-9]* copies of [1-9][0-9]* bytes, [1-9][0-9]* bytes of memory" err)" -eq 2 ]
    run "$WEIR" train --model gpt2-tiny --data text --device null --steps 1 -q
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    "$WEIR" train --model gpt2-tiny --data text --device null --steps 1 --json 2>err >out
    [ "$("$JSON_GET" dry loss_last <out)" = $'true\nnull' ]
}

@test "what needs numbers does not go with a dry run" {
    for option in '--export x' '--checkpoint-dir x' '--val-data text' '--save-costs x' --profile; do
        run "$WEIR" train --model gpt2-tiny --data text --device null --steps 1 $option
        echo "$output"
        [ "$status" -eq 2 ]
        [[ "$output" == *"--device null computes nothing, so ${option%% *} has nothing to give"* ]]
    done
    [ ! -e x ]
    run "$WEIR" profile --model gpt2-tiny --device null -o x
    [ "$status" -eq 2 ]
    [[ "$output" == *"--device null computes nothing, so there is nothing to measure"* ]]
    run "$WEIR" plan --model gpt2-tiny --devices 2 --device null
    [ "$status" -eq 2 ]
    [[ "$output" == *"device 'null' computes nothing, so that no plan is the fastest on it: use --device cpu or --device cuda"* ]]
    run "$WEIR" evaluate --init-from "$WEIR_SOURCE_DIR/tests/fixtures/hf-gpt2" --device null --data text
    [ "$status" -eq 2 ]
    [[ "$output" == *"--device null computes nothing, so --data has nothing to give"* ]]
}

@test "a dry run has one process" {
    run "$WEIR" launch -n 2 -- train --model gpt2-tiny --data text --device null --stages 2 --steps 1
    [ "$status" -eq 2 ]
    [[ "$output" == *"device 'null' runs all ranks in one process: start the command by itself, or give --transport local"* ]]
}

@test "the order of a dry run can be traced" {
    "$WEIR" train --model gpt2-tiny --data text --device null --stages 4 --schedule zb-h1 --steps 1 --trace t.json -q
    for action in 0F0 1F3 3W3; do
        grep -q "$action" t.json
    done
}
