#!/usr/bin/env bats
# weir train on images: folders of IDX files as MNIST's.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    mkdir mnist
    idx_write mnist/train 40
    idx_write mnist/t10k 20
}

# $1-images-idx3-ubyte and $1-labels-idx1-ubyte: $2 images of 2 x 2.
idx_write() {
    # shellcheck disable=SC2059
    { printf "\\0\\0\\10\\3\\0\\0\\0\\$(printf %o "$2")\\0\\0\\0\\2\\0\\0\\0\\2"; head -c $((4 * $2)) /dev/urandom; } >"$1-images-idx3-ubyte"
    # shellcheck disable=SC2059
    { printf "\\0\\0\\10\\1\\0\\0\\0\\$(printf %o "$2")"; for ((i = 0; i < $2; i++)); do printf "\\$((i % 4))"; done; } >"$1-labels-idx1-ubyte"
}

train() {
    "$WEIR" train --model mlp --steps 2 "$@"
}

@test "the four files of MNIST train on one set and validate on the other" {
    gzip mnist/t10k-labels-idx1-ubyte
    run --separate-stderr train --data mnist --json
    [ "$status" -eq 0 ]
    [ "$("$JSON_GET" data.samples val_data.samples <<<"$output")" = "$(printf '40\n20')" ]
    [ "${stderr_lines[1]}" = 'data: mnist as idx, 40 images of mnist/train-images-idx3-ubyte' ]
    [ "${stderr_lines[2]}" = 'val-data: mnist as idx, 20 images of mnist/t10k-images-idx3-ubyte' ]
    run --separate-stderr train --data mnist --val-data mnist --json
    [ "$("$JSON_GET" val_data.samples <<<"$output")" -eq 20 ]
    train --data mnist --val-every 1 --keep-best --checkpoint-dir c -q
}

@test "a folder with one set has no validation" {
    rm mnist/t10k-*
    run --separate-stderr train --data mnist --json
    [ "$status" -eq 0 ]
    [[ "$output" != *val_data* ]]
    run --separate-stderr train --data mnist --keep-best --checkpoint-dir c
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"--keep-best goes by the validation loss: give --val-data"* ]]
}

@test "a damaged or foreign file beside the right ones does not refuse the set" {
    head -c 30 mnist/train-images-idx3-ubyte >mnist/train-images-idx3-ubyte.part
    printf '\037\213\010\0junk' >mnist/broken.gz
    printf 'PK\3\4' >mnist/mnist.zip
    mkdir mnist/raw
    run --separate-stderr train --data mnist --json
    [ "$status" -eq 0 ]
    [ "$("$JSON_GET" data.samples val_data.samples <<<"$output")" = "$(printf '40\n20')" ]
}

@test "a test set that nobody asked for and that is damaged or too small is told, not refused" {
    head -c 50 mnist/t10k-images-idx3-ubyte >x && mv x mnist/t10k-images-idx3-ubyte
    run --separate-stderr train --data mnist --json
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"no validation on the test set of 'mnist': 'mnist/t10k-images-idx3-ubyte'"* ]]
    [[ "$output" != *val_data* ]]
    run --separate-stderr train --data mnist --val-data mnist
    [ "$status" -eq 1 ]
    idx_write mnist/t10k 3
    run --separate-stderr train --data mnist
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"no validation on the test set of 'mnist': 'mnist' has 3 samples, a validation needs the 16"* ]]
}

@test "fewer samples than a step needs are refused with both numbers" {
    idx_write mnist/train 15
    run --separate-stderr train --data mnist
    [ "$status" -eq 2 ]
    [ "$stderr" = "weir train: 'mnist' has 15 samples, a step needs 16: give more --data, or smaller --microbatches or --microbatch-size" ]
    train --data mnist --microbatches 3 -q
    head -c 100 /dev/zero | tr '\0' a >text
    run --separate-stderr "$WEIR" train --model gpt2-tiny --seq-len 8 --data text --replicas 2 --steps 1
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"'text' has 12 samples, a step needs 32: give more --data, or smaller --microbatches, --replicas or --microbatch-size" ]]
}
