#!/usr/bin/env bats
# The commands of README.md run as they stand, in a folder that has what they name.

bats_require_minimum_version 1.5.0
load small_tokenizer

setup_file() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    for i in $(seq 400); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >book.txt
    cp book.txt text.txt
    tail -n 40 book.txt >held-out.txt
    mkdir gpt2 mnist model
    tokenizer_write gpt2
    printf '{"model_type": "gpt2", "n_embd": 32, "n_head": 2, "n_layer": 2, "n_positions": 64, "vocab_size": 258}' >small.json
    "$WEIR" train --model ./small.json --data book.txt --steps 1 -q --export gpt2 --force >/dev/null
    "$WEIR" train --model gpt2-tiny --data book.txt --steps 1 -q --export model >/dev/null
    "$WEIR" schedule costs gpt2-tiny --stages 4 -o costs.json
    for part in train_1 train_2 val; do "$WEIR" tokenize -q --tokenizer bytes book.txt -o "$part.bin"; done
    idx_write mnist/train 200
    idx_write mnist/t10k 50
    graph_write
    weir_make
}

graph_write() {
    cat >model.json <<'JSON'
{"maxSizePerFPGA": 100, "maxFPGAs": 4, "maxCPUs": 1, "nodes": [
 {"id": 1, "supportedOnFpga": 1, "cpuLatency": 50, "fpgaLatency": 4, "isBackwardNode": 0, "size": 10},
 {"id": 2, "supportedOnFpga": 1, "cpuLatency": 50, "fpgaLatency": 3, "isBackwardNode": 0, "size": 10}],
 "edges": [{"sourceId": 1, "destId": 2, "cost": 0.5}]}
JSON
}

setup() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    PATH=$PWD/bin:$PATH
}

# $1-images-idx3-ubyte and $1-labels-idx1-ubyte: $2 images of 28 x 28.
idx_write() {
    # shellcheck disable=SC2059
    { printf "\\0\\0\\10\\3\\0\\0\\0\\$(printf %o "$2")\\0\\0\\0\\34\\0\\0\\0\\34"; head -c $((784 * $2)) /dev/zero; } >"$1-images-idx3-ubyte"
    # shellcheck disable=SC2059
    { printf "\\0\\0\\10\\1\\0\\0\\0\\$(printf %o "$2")"; for ((i = 0; i < $2; i++)); do printf "\\$((i % 8))"; done; } >"$1-labels-idx1-ubyte"
}

# `weir` and `mpirun` on the path: with two steps for every training, and the small model in place of the published one.
weir_make() {
    mkdir bin
    cat >bin/weir <<'END'
#!/bin/bash
trains=() arguments=()
for argument; do
    [ "$argument" != train ] || trains=(--steps 2)
    [ "$argument" != gpt2 ] || argument=gpt2-tiny
    arguments+=("$argument")
done
exec "$WEIR" "${arguments[@]}" "${trains[@]}"
END
    cat >bin/mpirun <<'END'
#!/bin/bash
here=$(dirname "$0")
[ "$1 $3" = "-np weir" ] || exit 2
n=$2
shift 3
PATH=${PATH#*:} MPI_TIMEOUT=100 exec bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" "$n" "$here/weir" "$@"
END
    chmod +x bin/weir bin/mpirun
}

# The commands of indented lines, one a line, without what is said beside them.
commands() {
    sed -nE 's/^    (\$ )?((weir|mpirun) .*)/\2/p' "$WEIR_SOURCE_DIR/README.md" | sed -E 's/   +.*//; s/ {2}[^ ].*//'
}

with_mpi() {
    "$WEIR" info | grep -q '^transport   mpi' && (PATH=${PATH#*:} && command -v mpirun >/dev/null)
}

@test "every command of the README runs as it stands" {
    commands >all
    [ "$(wc -l <all)" -ge 20 ]
    grep -q '^weir train .*--init-from gpt2/ .*--export tuned/$' all
    while read -r line; do
        echo "\$ $line"
        case $line in mpirun*) with_mpi || continue ;; esac
        bash -c "$line" </dev/null >out 2>err || { cat out err; false; }
    done <all
}

@test "the fine-tuned model of the README is read back with the tokens it was trained on" {
    tokens=$(encode <book.txt | wc -l)
    [ "$("$WEIR" train --model gpt2/ --data book.txt --steps 1 --json -q | "$JSON_GET" data.tokens)" -eq "$tokens" ]
    for file in vocab.json merges.txt; do cmp "gpt2/$file" "tuned/$file"; done
    [ "$("$WEIR" generate --init-from tuned/ --prompt 'the th' -n 1 -q --json | "$JSON_GET" samples.0.tokens.0)" -ge 0 ]
    [ "$("$WEIR" generate --init-from tuned/ --prompt 'the th' -n 1 -q --json | "$JSON_GET" prompt_tokens)" -eq 4 ]
}

@test "the three pipelines at the top of the README end with the same loss" {
    commands | grep -- '--microbatches 8 --steps 40 --ranks' >three
    [ "$(wc -l <three)" -eq 3 ]
    while read -r line; do bash -c "$line" 2>/dev/null | sed 's/.*: loss/loss/'; done <three >ends
    [ "$(wc -l <ends)" -eq 3 ]
    [ "$(sort -u ends | wc -l)" -eq 1 ]
}
