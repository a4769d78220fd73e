#!/usr/bin/env bats
# What a path may name: every input file of every command is a regular file, and nothing waits for another.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    mkfifo pipe
    mkdir piped sharded named
    mkfifo piped/model.safetensors named/vocab.json
    echo '{"weight_map": {"a": "shard"}}' >sharded/model.safetensors.index.json
    mkfifo sharded/shard
    cp "$WEIR_SOURCE_DIR"/tests/fixtures/hf-gpt2/{config.json,model.safetensors} named/
    mkdir config idx
    mkfifo config/config.json
    seq 400 >text
    : >named/merges.txt
}

# arguments; each names one thing that is no file
commands() {
    cat <<'ROWS'
schedule check pipe
schedule check /dev/zero
schedule simulate 1f1b -p 2 -m 2 --costs pipe
plan --graph pipe --devices 2
train --config pipe
train --model gpt2-tiny --data pipe
train --model gpt2-tiny --data /dev/zero
train --model gpt2-tiny --data text --val-data pipe
train --model gpt2-tiny --data text --init-from piped
train --model gpt2-tiny --data text --init-from sharded
train --model config/ --data text
train --model gpt2-tiny --data text --schedule ./pipe
generate --model gpt2-tiny --init-from piped --prompt a
generate --init-from config --prompt a
info --placement cluster --topology pipe
generate --init-from named --prompt a
ROWS
}

@test "a pipe or a device as any input file is refused by name and not waited for" {
    commands | while read -r row; do
        # shellcheck disable=SC2086
        status=0
        timeout 60 "$WEIR" $row >out 2>&1 </dev/null || status=$?
        echo "$row: $status: $(cat out)"
        [ "$status" -eq 1 ]
        grep -Eq "is a (pipe|device), not a regular file: copy its content to one" out
    done
}
