#!/usr/bin/env bats
# weir train writes checkpoints and goes on from them.   labels: slow

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 400); do printf 'line %d of a small text: the quick brown fox jumps over the lazy dog\n' "$i"; done >text
    base=(train --model gpt2-tiny --data text --microbatches 2 --microbatch-size 2 --seq-len 16 --dropout 0.1 -q)
}

train() {
    "$WEIR" "${base[@]}" "$@"
}

# what a step computed, line by line; times differ
numbers() {
    grep -o '"step": [0-9]*\|"tokens": [^,]*\|"loss": [^,]*, "grad_norm": [^,]*, "lr": [^,]*\|"val_loss": [^,]*' "$1"
}

@test "a run that goes on, on another layout, writes the metrics and weights of the whole run" {
    local lr=(--lr-schedule cosine --warmup 2 --val-data text --val-every 3 --val-batches 2)
    train --steps 9 "${lr[@]}" --metrics whole.m --export whole
    train --steps 9 "${lr[@]}" --metrics m --checkpoint-dir D --checkpoint-every 4 --stages 1
    rm -r D/step-000009
    run --separate-stderr "$WEIR" train --resume --checkpoint-dir D --stages 4 --schedule zb-h1 --metrics m --export resumed
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"goes on from 'D/step-000008'"* ]]
    cmp whole/model.safetensors resumed/model.safetensors
    cmp <(numbers whole.m) <(numbers m)
    [ "$(wc -l <m)" -eq 10 ]
}

@test "sgd, chunks and recomputation go on too, with checkpoints written between steps" {
    train --steps 6 --optimizer sgd --export whole
    train --steps 3 --optimizer sgd --checkpoint-dir D --checkpoint-sync --stages 4 --chunks 2 --schedule interleaved
    train --steps 6 --optimizer sgd --checkpoint-dir D --resume --recompute full --export resumed
    cmp whole/model.safetensors resumed/model.safetensors
}

@test "sharded state of replicas goes on with and without sharding, in place of both" {
    train --steps 6 --replicas 2 --export whole
    train --steps 3 --replicas 2 --zero 1 --checkpoint-dir D --stages 1
    train --steps 6 --replicas 2 --zero 0 --checkpoint-dir D --stages 4 --resume --export resumed
    cmp whole/model.safetensors resumed/model.safetensors
}

@test "other replicas and micro-batches neither repeat a sample nor skip one" {
    train --steps 2 --microbatches 4 --checkpoint-dir D --metrics m
    train --steps 4 --microbatches 1 --replicas 2 --checkpoint-dir D --resume --metrics m
    [ "$(grep -o '"tokens": [0-9]*' m | tail -1)" = '"tokens": 384' ] # 2 steps of 8 samples, 2 of 4, 16 tokens each
    "$JSON_GET" sample <D/step-000004/manifest.json | grep -qx 24
}

@test "a folder with checkpoints is refused without --resume, and named" {
    train --steps 2 --checkpoint-dir D
    run train --steps 4 --checkpoint-dir D
    [ "$status" -eq 2 ]
    [[ "$output" == *"'D' holds checkpoints, the newest after 2 steps: go on from there with --resume"* ]]
    run "$WEIR" "${base[@]}" --steps 2 --checkpoint-dir E --resume
    [ "$status" -eq 0 ]
    [[ "$output" == *"'E' has no whole checkpoint: begins at step 1"* ]]
}

@test "another model, optimizer, seed or other data are refused by name; other data with --new-data are not" {
    train --steps 2 --checkpoint-dir D --export e
    sed -i 's/"n_head": 4/"n_head": 2/' e/config.json
    head -c 20000 text >other
    for other in "--seed 2" "--optimizer sgd" "--weight-decay 0.3" "--dropout 0.2" "--seq-len 8"; do
        run train --steps 4 --checkpoint-dir D --resume $other
        [ "$status" -eq 2 ]
        [[ "$output" == *"was trained with another ${other% *}"* ]]
    done
    run train --steps 4 --checkpoint-dir D --resume --model e/config.json
    [ "$status" -eq 2 ]
    [[ "$output" == *"'D/step-000002' is of model 'gpt2-tiny', not of 'e/config.json': give the same --model"* ]]
    run "$WEIR" train --model mlp --data text --steps 4 --checkpoint-dir D --resume # has no --seq-len, which D keeps
    [ "$status" -eq 2 ]
    [[ "$output" == *"'D/step-000002' is of model 'gpt2-tiny', not of 'mlp': give the same --model"* ]]
    run train --steps 4 --checkpoint-dir D --resume --data other
    [ "$status" -eq 2 ]
    [[ "$output" == *"'D/step-000002' was trained on other data (samples "* ]]
    train --steps 4 --checkpoint-dir D --resume --data other --new-data
    "$JSON_GET" sample <D/step-000004/manifest.json | grep -qx 8
    train --steps 5 --checkpoint-dir D --resume --data other --metrics m
    [ "$(grep -o '"tokens": [0-9]*' m)" = '"tokens": 320' ] # of both data: 5 steps of 4 samples, 16 tokens each
    run train --steps 3 --checkpoint-dir D --resume --data other
    [ "$status" -eq 2 ]
    [[ "$output" == *"has 5 steps, --steps 3 is the total: give more"* ]]
}

@test "the newest ones stay, and the best by validation" {
    train --steps 12 --checkpoint-dir D --checkpoint-every 2 --keep 2
    [ "$(ls D)" = "$(printf 'step-000010\nstep-000012')" ]
    head -c 3000 text >val
    train --steps 3 --checkpoint-dir E --checkpoint-every 1 --keep 1 --keep-best --val-data val --val-batches 2 --val-every 1
    train --steps 6 --lr 0.5 --checkpoint-dir E --checkpoint-every 1 --keep 1 --keep-best --resume
    [ "$(ls E)" = "$(printf 'step-000003\nstep-000006')" ]
}

@test "the best by validation is written when it is found, and known to the run that goes on" {
    head -c 3000 text >val
    local best=(--checkpoint-dir D --checkpoint-every 1000 --keep 1 --keep-best --val-data val --val-batches 2 --val-every 2)
    train --steps 7 "${best[@]}" --metrics m
    local losses step
    losses=$(grep val_loss m | sed 's/.*"step": \([0-9]*\).*"val_loss": \([^,]*\),.*/\2 \1/' | sort -g)
    step=$(printf 'step-%06d' "$(head -n 1 <<<"$losses" | cut -d ' ' -f 2)")
    ls D | grep -qx "$step"
    train --steps 9 --lr 0.5 "${best[@]}" --resume
    ls D | grep -qx "$step" # what is worse does not replace it
    [ "$(ls D | wc -l)" -eq 2 ]
}

@test "a damaged or torn checkpoint is passed over by name, and goes at the next save" {
    train --steps 4 --checkpoint-dir D --checkpoint-every 1
    printf 'x' | dd of=D/step-000004/part-00000.safetensors bs=1 seek=900000 conv=notrunc 2>/dev/null
    rm D/step-000003/manifest.json
    run --separate-stderr train --steps 3 --checkpoint-dir D --resume
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"passed over: 'D/step-000004/part-00000.safetensors': tensor '"*"' is damaged: its XXH3 is "* ]]
    [[ "$stderr" == *"passed over: 'D/step-000003/manifest.json' is missing: there is no whole checkpoint"* ]]
    [ "$(ls D)" = "$(printf 'step-000001\nstep-000002\nstep-000003')" ]
}

# signalled SIGNAL LINES ARGUMENT..: train, and send the signal once the metrics have so many lines; the exit status is `ended`
signalled() {
    local signal=$1 lines=$2
    shift 2
    "$WEIR" "${base[@]}" --metrics m "$@" 3>&- &
    local pid=$!
    until { [ -s m ] && [ "$(wc -l <m)" -ge "$lines" ]; } || ! kill -0 "$pid"; do sleep 0.05; done
    kill -"$signal" "$pid"
    ended=0
    wait "$pid" || ended=$?
}

@test "each signal ends the step, saves and exits with 128 + its number; the same command goes on" {
    local lines=3 steps signal
    for signal in TERM INT HUP USR1; do
        signalled "$signal" $lines --steps 100000 --checkpoint-dir D --checkpoint-every 100000 --keep 1 --resume
        [ "$ended" -eq $((128 + $(kill -l $signal))) ]
        [ "$(ls D | wc -l)" -eq 1 ]
        steps=$("$JSON_GET" step <"D/$(ls D)/manifest.json")
        [ "$(wc -l <m)" -eq $((steps + 1)) ]
        lines=$((steps + 3))
    done
    train --steps $((steps + 2)) --checkpoint-dir D --metrics m --resume
    train --steps $((steps + 2)) --metrics whole
    cmp <(numbers whole) <(numbers m)
}

@test "a step that takes longer than --grace after a signal is lost, the checkpoint before is not" {
    for i in $(seq 20000); do printf 'line %d of a long text: the quick brown fox jumps over the lazy dog\n' "$i"; done >text
    train --steps 1 --checkpoint-dir D --metrics m
    "$WEIR" train --microbatches 40000 --steps 100 --checkpoint-dir D --resume --grace 1s 3>&- 2>said &
    local pid=$! ended=0
    until grep -q "data: text" said || ! kill -0 "$pid"; do sleep 0.05; done
    sleep 1
    kill -TERM "$pid"
    wait "$pid" || ended=$?
    [ "$ended" -eq 143 ]
    grep -q "took longer than --grace: the state since the last checkpoint is lost" said
    [ "$(ls D)" = step-000001 ]
    train --steps 2 --checkpoint-dir D --resume
}

@test "--stop-after ends the run with status 0 and says so" {
    run --separate-stderr train --steps 1000000 --checkpoint-dir D --stop-after 1s --json
    [ "$status" -eq 0 ]
    [ "$("$JSON_GET" stopped <<<"$output")" = true ]
    [ "$(ls D | wc -l)" -eq 1 ]
    run train --steps 1000000 --stop-after 1
    [ "$status" -eq 2 ]
    [[ "$output" == *"--stop-after takes a time such as 90s, 30m or 2h, not '1'"* ]]
}

@test "a step that ends in NaN saves and exports the state before it" {
    run train --steps 9 --lr 1e6 --optimizer sgd --grad-clip 0 --checkpoint-dir D --checkpoint-every 100 --export e
    [ "$status" -eq 6 ]
    run train --steps 0 --init-from "D/$(ls D)" --export again
    [ "$status" -eq 0 ]
    cmp e/model.safetensors again/model.safetensors
}

@test "a checkpoint gives a new run its parameters" {
    train --steps 3 --checkpoint-dir D --export a
    train --steps 2 --init-from D/step-000003 --seed 5 --export b
    train --steps 2 --init-from a --seed 5 --export c
    cmp b/model.safetensors c/model.safetensors
}

@test "a disk that is full for checkpoints does not end the training" {
    train --steps 2 --checkpoint-dir D
    run bash -c 'ulimit -f 100; trap "" XFSZ; exec "$@"' - "$WEIR" "${base[@]}" --steps 6 --checkpoint-dir D --checkpoint-every 2 --resume
    [ "$status" -eq 1 ]
    [[ "$output" == *"a checkpoint could not be written, training goes on: cannot write 'D/step-000004/part-00000.safetensors'"* ]]
    [ "$(ls D)" = step-000002 ]
    train --steps 3 --checkpoint-dir D --resume
}

@test "two runs cannot write into one folder, and one that has just died is waited for" {
    "$WEIR" "${base[@]}" --metrics m --steps 100000 --checkpoint-dir D --checkpoint-every 100000 3>&- &
    local pid=$!
    until { [ -s m ] && [ "$(wc -l <m)" -ge 3 ]; } || ! kill -0 "$pid"; do sleep 0.05; done
    run train --steps 2 --checkpoint-dir D --resume
    [ "$status" -eq 1 ]
    [[ "$output" == *"'D' is being written by another run: wait for its end, or give this one another folder"* ]]
    (sleep 1 && kill -KILL "$pid") 3>&- &
    train --steps 2 --checkpoint-dir D --resume
    [ "$(ls D)" = step-000002 ]
}

@test "options about checkpoints without their folder are refused" {
    for option in "--resume" "--keep 2" "--checkpoint-every 5" "--keep-best"; do
        run train --steps 2 $option
        [ "$status" -eq 2 ]
        [[ "$output" == *"${option% *} is about checkpoints: give --checkpoint-dir too"* ]]
    done
    run train --steps 2 --checkpoint-dir D --checkpoint-every 5x
    [ "$status" -eq 2 ]
    [[ "$output" == *"--checkpoint-every takes a number of steps or a time such as 90s, 30m or 2h, not '5x'"* ]]
}

@test "the copy of the state is in the memory table, counts, and --checkpoint-sync does without" {
    local rows
    rows=$(train --steps 2 --stages 1 --checkpoint-dir D --print-memory full | awk '/copy of the state for checkpoints/ { print $3 }')
    [ "$rows" = "$(train --steps 2 --stages 1 --print-memory full | awk '/^rank 0: / { print $4 + $11 }')" ] # params and optimizer
    [ ! -e D ]
    ! train --steps 2 --checkpoint-dir D --checkpoint-sync --print-memory full | grep 'copy of the state'
    run train --steps 2 --stages 1 --checkpoint-dir D --device-memory 33M
    [ "$status" -eq 3 ]
    [[ "$output" == *": it fits with --checkpoint-sync"* ]]
    train --steps 2 --stages 1 --checkpoint-dir D --device-memory 33M --checkpoint-sync
}

@test "a checkpoint in the place of a model, or a folder of them in the place of one, is named with the way out" {
    train --steps 2 --checkpoint-dir D
    run train --steps 1 --init-from D
    [ "$status" -eq 1 ]
    [[ "$output" == *"'D' holds checkpoints, not weights: name one of them, as 'D/step-000002'"* ]]
    run "$WEIR" generate --init-from D/step-000002 --prompt a
    [ "$status" -eq 2 ]
    [[ "$output" == *"'D/step-000002' is a checkpoint: weir checkpoint convert makes a model folder of it"* ]]
}
