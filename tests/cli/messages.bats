#!/usr/bin/env bats
# What messages blame and advise, and that names in them do nothing to a terminal.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    seq 2000 >digits
    escape=$(printf 'a\033[31mb\nc')
}

train() {
    "$WEIR" train --model gpt2-tiny --data text --stages 2 --microbatches 2 --seq-len 8 -q "$@"
}

# Nothing but lines of printable characters.
harmless() {
    ! LC_ALL=C grep -q '[^[:print:]]' <<<"$1"
}

@test "weights that are not finite are named, and the learning rate is not blamed" {
    cp -r "$WEIR_SOURCE_DIR/tests/fixtures/hf-gpt2" bad
    header=$(od -An -tu8 -N8 bad/model.safetensors)
    printf '\300\177' | dd of=bad/model.safetensors bs=1 seek=$((8 + header)) conv=notrunc status=none # bf16: NaN
    run "$WEIR" train --model bad --init-from bad --data digits --data-format text --seq-len 8 --steps 2 -q
    [ "$status" -eq 6 ]
    [[ "$output" == "weir train: step 1: loss nan, gradient norm nan: parameter '"*"' had values that are not finite before the step" ]]
    run "$WEIR" evaluate --init-from bad --data digits --data-format text --seq-len 8 -q
    [ "$status" -eq 6 ]
    [[ "$output" == *"loss is nan: parameter '"*"' has values that are not finite" ]]
    run "$WEIR" generate --init-from bad --prompt-tokens 1,2,3 --tokens 2 -q
    [ "$status" -eq 6 ]
    [[ "$output" == *"parameter '"*"' has values that are not finite, and so has what the model says" ]]
}

@test "a smaller clip is advised where clipping is on, and clipping where it is off" {
    run train --steps 9 --optimizer sgd --lr 1e6 --grad-clip 0
    [ "$status" -eq 6 ]
    [[ "$output" == *"step "[2-9]": "*"a smaller learning rate, or --grad-clip 1, may help" ]]
    run train --steps 30 --optimizer sgd --lr 1e6 --grad-clip 1
    [ "$status" -eq 6 ]
    [[ "$output" == *"a smaller learning rate or --grad-clip may help" ]]
}

@test "names of nodes, causes of traces and folders of checkpoints are shown, not obeyed" {
    "$WEIR" plan --model gpt2-tiny --devices 2 --save-graph g.json >/dev/null
    sed -E 's/"(h\.[0-9])\.(mlp|attn)"/"\1\\u001b[31m\\n\2"/g' g.json >odd.json
    for form in explain layers; do
        run "$WEIR" plan --graph odd.json --devices 2 --output "$form"
        [ "$status" -eq 0 ]
        harmless "$output"
        [[ "$output" == *'h.2\x1b[31m\nmlp'* ]]
    done
    train --steps 2 --trace t.json
    sed -E 's/"cause": "[a-z ]*"/"cause": "a\\u001b[31m\\nb"/' t.json >odd.json
    run "$WEIR" explain odd.json
    [ "$status" -eq 0 ]
    harmless "$output"
    train --steps 1 --checkpoint-dir "$escape"
    run "$WEIR" train --model gpt2-tiny --data text --stages 2 --microbatches 2 --seq-len 8 --steps 2 --checkpoint-dir "$escape" --resume
    [[ "$status" -eq 0 && "$output" == *"goes on from 'a\\x1b[31mb\\nc/step-000001'"* ]]
    harmless "$output"
}

@test "a schedule file that is not there, or has more stages than the model, is named" {
    for command in "draw none.csv -o x.svg" "check none.csv" "simulate none.csv" "convert none.csv --to torch"; do
        # shellcheck disable=SC2086 # a command line
        run "$WEIR" schedule $command
        [[ "$status" -eq 1 && "$output" == *"cannot open 'none.csv'"* ]]
    done
    "$WEIR" schedule make 1f1b -p 20 -m 2 -o many.csv
    run "$WEIR" train --model gpt2-tiny --data text --steps 1 --schedule many.csv -q
    [[ "$status" -eq 3 && "$output" == *"'many.csv' has 20 stages, but model 'gpt2-tiny' only 14 layers" ]]
}

@test "variables that begin with WEIR_ and that nobody reads are named" {
    WEIR_LGO=info run --separate-stderr "$WEIR" schedule make 1f1b -p 2 -m 2
    [ "$status" -eq 0 ]
    [[ "$stderr" == "weir: environment variable 'WEIR_LGO' is not used: did you mean 'WEIR_LOG'?" ]]
    WEIR_DEVICES=4 WEIR_LOG=loud run --separate-stderr "$WEIR" schedule make 1f1b -p 2 -m 2
    [[ "$stderr" == *"weir: environment variable 'WEIR_DEVICES' is not used"* ]]
    [[ "$stderr" == *"WEIR_LOG is 'loud', it can be error, warn, info or debug"* ]]
    WEIR_LOG=info run --separate-stderr "$WEIR" schedule make 1f1b -p 2 -m 2
    [ -z "$stderr" ]
}

@test "metrics of another run are replaced with --force only, those of the same run at once" {
    train --steps 3 --metrics m
    cp m first
    run train --steps 4 --metrics m
    [ "$status" -eq 2 ]
    [[ "$output" == "weir train: 'm' has the metrics of another run: give --metrics another name, or --force to replace them" ]]
    cmp m first
    run train --steps 3 --metrics m --weight-decay 0.3
    [ "$status" -eq 2 ]
    train --steps 3 --metrics m -q --trace t.json # the same run, with one more output
    [ "$(grep -c '"step"' m)" -eq 3 ]
    train --steps 4 --metrics m --force
    [ "$(grep -c '"step"' m)" -eq 4 ]
    train --steps 2 --checkpoint-dir D --metrics n
    train --steps 4 --checkpoint-dir D --resume --metrics n # goes on with its own
    [ "$(grep -c '"step"' n)" -eq 4 ]
    run "$WEIR" train --model llama-tiny --data text --stages 2 --seq-len 8 -q --steps 1 --metrics n
    [ "$status" -eq 2 ]
    echo '{"step": 1, "loss": 3}' >old
    run train --steps 1 --metrics old
    [ "$status" -eq 2 ]
}

@test "with --resume the metrics of an attempt that ended before its first checkpoint are replaced, in another layout too" {
    cd "$BATS_TEST_TMPDIR" || exit 1
    printf '%0600d\n' 7 >text
    base=(train --model gpt2-tiny --data text --microbatches 2 --microbatch-size 1 --seq-len 8 -q --steps 2 --metrics m)
    "$WEIR" "${base[@]}" --stages 3
    "$WEIR" "${base[@]}" --stages 2 --checkpoint-dir D --resume 2>errors
    grep -q "'D' has no whole checkpoint: begins at step 1" errors
    [ "$(grep -c grad_norm m)" -eq 2 ]
    run "$WEIR" "${base[@]}" --stages 2 --checkpoint-dir E --resume --seed 2
    [[ "$status" -eq 2 && "$output" == *"has the metrics of another run"* ]]
}
