#!/usr/bin/env bats
# What a run has learnt outlives its surroundings: signals, full disks, bad data, numbers that are not finite.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    printf '{"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 16, "vocab_size": 256}' >small.json
}

train() {
    "$WEIR" train --model ./small.json --data text --stages 1 --microbatches 1 "$@"
}

# A run in the background, with its first step done.
train_long() {
    "$WEIR" train --model ./small.json --data text --stages 1 --microbatches 1 --steps 1000000 --metrics m --trace t.json --export e "$@" 2>messages 3>&- &
    pid=$!
    for _ in $(seq 400); do [ -s m ] && break; sleep 0.05; done
    [ -s m ]
}

# The run has ended with $1, and left what it should and nothing else.
ended_whole() {
    code=0
    wait "$pid" || code=$?
    [ "$code" -eq "$1" ] || { echo "exit $code: $(cat messages)"; false; }
    steps=$(grep -c '"step"' m)
    [ "$(tail -n 1 m | grep -c '}$')" -eq 1 ]
    grep -q "stopped by signal $(($1 - 128)) after $steps steps" messages
    grep -q '"0F0"' t.json
    [ -s e/model.safetensors ]
    [ -s e/config.json ]
    nothing_left
    train --steps 1 -q --init-from e
}

nothing_left() {
    run find . -name '*tmp*'
    [ -z "$output" ]
}

@test "SIGTERM, SIGINT and SIGHUP finish the step and write everything" {
    for signal in TERM INT HUP; do
        rm -rf m t.json e
        train_long
        kill -"$signal" "$pid"
        ended_whole $((128 + $(kill -l "$signal")))
    done
}

@test "a terminal that goes away twice takes nothing with it" {
    train_long --val-data text --val-every 1
    kill -HUP "$pid"
    kill -HUP "$pid" || true
    ended_whole 129
}

@test "under nohup SIGHUP does not end a run" {
    train_long_nohup() {
        nohup "$WEIR" train --model ./small.json --data text --stages 1 --microbatches 1 --steps 1000000 --metrics m --trace t.json --export e \
            2>messages >/dev/null 3>&- &
        pid=$!
        for _ in $(seq 400); do [ -s m ] && break; sleep 0.05; done
    }
    train_long_nohup
    kill -HUP "$pid"
    before=$(grep -c '"step"' m)
    for _ in $(seq 400); do [ "$(grep -c '"step"' m)" -gt $((before + 50)) ] && break; sleep 0.05; done
    kill -TERM "$pid"
    ended_whole 143
}

@test "SIGINT does not wait for the end of a validation" {
    yes 'a line of a text that is long and always the same' | head -c 20000000 >long
    "$WEIR" train --model ./small.json --data text --stages 1 --microbatches 1 --microbatch-size 1 --steps 3 --metrics m --export e \
        --val-data long --val-every 1 --val-batches 1000000 2>messages 3>&- &
    pid=$!
    # the step is reported after its validation: the run is in it as soon as the outputs are open
    for _ in $(seq 400); do [ -d e ] && break; sleep 0.05; done
    sleep 1
    kill -INT "$pid"
    code=0
    wait "$pid" || code=$?
    [ "$code" -eq 130 ]
    grep -q 'stopped by signal 2 after 1 step, the validation was not finished' messages
    [ "$(grep -c '"step"' m)" -eq 1 ]
    run ! grep -q val_loss m
    [ -s e/model.safetensors ]
}

@test "a loss that is not finite ends with status 6, and the export has the parameters before that step" {
    run --separate-stderr train --steps 5 --lr 1e6 --grad-clip 0 --optimizer sgd --metrics m --export e
    [ "$status" -eq 6 ]
    [[ "$stderr" == *"not finite"* && "$stderr" == *"the export has the parameters after $(grep -c '"step"' m) steps"* ]]
    steps=$(grep -c '"step"' m)
    [ "$steps" -ge 1 ]
    train --steps "$steps" --lr 1e6 --grad-clip 0 --optimizer sgd -q --export same
    cmp e/model.safetensors same/model.safetensors
    nothing_left
}

@test "metrics or a trace that cannot be written end the run with what it has learnt exported" {
    [ -e /dev/full ] || skip "no /dev/full here"
    train --steps 1 -q --export one
    run train --steps 50 -q --metrics /dev/full --export e
    [ "$status" -eq 1 ]
    [[ "$output" == *"cannot write metrics to '/dev/full': No space left on device"* ]]
    cmp one/model.safetensors e/model.safetensors
    train --steps 3 -q --export three
    run train --steps 3 -q --trace /dev/full --export e
    [ "$status" -eq 1 ]
    [[ "$output" == *"'/dev/full': No space left on device"* ]]
    cmp three/model.safetensors e/model.safetensors
}

@test "data that turns out bad ends the run with what it has learnt exported" {
    awk 'BEGIN { for (i = 0; i < 4000; i++) printf "%c%c", 97 + i % 26, i == 2000 ? 1 : 0 }' >tokens.bin
    run "$WEIR" train --model ./small.json --data tokens.bin --stages 1 --microbatches 1 --microbatch-size 1 --seq-len 8 --steps 500 \
        -q --metrics m --export e
    [ "$status" -eq 1 ]
    [[ "$output" == *"tokens.bin"* ]]
    "$WEIR" train --model ./small.json --data text --stages 1 --steps 1 -q --init-from e
    [ "$(grep -c '"step"' m)" -ge 1 ]
    nothing_left
}

@test "a limit on the size of files is an error that leaves the old file" {
    echo old >t.json
    run bash -c 'ulimit -f 1; "$WEIR" train --model ./small.json --data text --stages 1 --steps 20 -q --trace t.json'
    [ "$status" -eq 1 ]
    [[ "$output" == *"cannot write 't.json': File too large"* ]]
    [ "$(cat t.json)" = old ]
    run bash -c 'ulimit -f 1; "$WEIR" train --model ./small.json --data text --stages 1 --steps 20 -q --metrics m'
    [ "$status" -eq 1 ]
    [[ "$output" == *"cannot write metrics to 'm': File too large"* ]]
    [ "$(tail -n 1 m | grep -c '}$')" -eq 1 ]
    run bash -c 'ulimit -f 1; "$WEIR" train --model ./small.json --data text --stages 1 --steps 20 -q --export e'
    [ "$status" -eq 1 ]
    [[ "$output" == *"a file of the export in 'e' needs "*" bytes, files may have 1024 (ulimit -f)" ]]
    [ ! -e e ]
    nothing_left
}

@test "an export target that cannot be replaced is found before the first step" {
    mkdir -p e/model.safetensors f/config.json
    for folder in e f; do
        run train --steps 1 -q --export "$folder" --metrics m --force
        [ "$status" -eq 1 ]
        [[ "$output" == *"cannot write '$folder/"*"Is a directory"* ]]
        [ ! -s m ]
    done
}

@test "a full disk keeps the old export and leaves nothing else" {
    mkdir small
    mount -t tmpfs -o size=256k none small 2>/dev/null || skip "file systems cannot be mounted here"
    sed 's/"n_embd": 8/"n_embd": 64/' small.json >large.json
    train --steps 1 -q --export small/e
    cksum small/e/* >before
    code=0
    "$WEIR" train --model ./large.json --data text --stages 1 --steps 1 -q --export small/e 2>messages || code=$?
    grep -q "the export in 'small/e' needs .* bytes, the disk has .* left" messages || code=99
    head -c 300000 /dev/zero >small/filler || true
    filled=0
    train --steps 1 -q --export small/e 2>>messages || filled=$?
    cksum small/e/* >after
    ls -A small small/e >listing
    umount small
    [ "$code $filled" = "1 1" ] || { cat messages; false; }
    cmp before after
    run ! grep -q tmp listing
}
