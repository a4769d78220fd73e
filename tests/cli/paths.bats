#!/usr/bin/env bats
# What a command writes is never what it reads, nor another output; what is there is replaced when it is Weir's.

bats_require_minimum_version 1.5.0

setup_file() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    mkdir model images
    printf '{"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 16, "vocab_size": 256}' >small.json
    "$WEIR" train --model ./small.json --data text --stages 1 --microbatches 1 --steps 1 -q --export model
    # 8 images of 2 x 2, labels 0 and 1
    printf '\0\0\10\3\0\0\0\10\0\0\0\2\0\0\0\2' >images/pixels
    printf '0123456789abcdef0123456789abcdef' >>images/pixels
    printf '\0\0\10\1\0\0\0\10\0\1\0\1\0\1\0\1' >images/labels
    printf '{"maxSizePerFPGA": 100, "maxFPGAs": 2, "maxCPUs": 0, "nodes": [{"id": 1, "supportedOnFpga": 1, "cpuLatency": 50, "fpgaLatency": 4, "isBackwardNode": 0, "size": 10}], "edges": []}' >graph.json
    printf '{"steps": 1}' >config.json
    "$WEIR" schedule make 1f1b -p 2 -m 2 -o s.csv
}

setup() {
    cp -r "$BATS_FILE_TMPDIR"/{text,model,images,small.json,graph.json,config.json,s.csv} "$BATS_TEST_TMPDIR"
    cd "$BATS_TEST_TMPDIR" || exit 1
    ln -s text link
    ln text hard
    ln -s to-come.jsonl promise
    mkdir there
    find . -type f -exec cksum {} + | sort >"$BATS_FILE_TMPDIR/before-$BATS_TEST_NUMBER"
}

# Nothing was touched, nothing is new.
untouched() {
    find . -type f -exec cksum {} + | sort | cmp - "$BATS_FILE_TMPDIR/before-$BATS_TEST_NUMBER"
}

train() {
    "$WEIR" train --model ./small.json --data text --stages 1 --microbatches 1 --steps 1 -q "$@"
}

# arguments | words of the message
@test "a folder that is not there yet is known by all its names" {
    run --separate-stderr train --export e --metrics ./e/../e/config.json
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"belongs to the folder 'e' of --export"* ]]
    [ ! -e e ]
}

@test "a pipe that nobody reads is an error and no reason to wait" {
    mkfifo pipe
    for option in --trace --metrics; do
        run --separate-stderr timeout 60 "$WEIR" train --model gpt2-tiny --data text --microbatch-size 1 --microbatches 2 --seq-len 16 --steps 2 -q "$option" pipe
        [ "$status" -eq 1 ]
        [[ "$stderr" == *"'pipe'"*"nobody reads"* ]]
    done
}

@test "an output that is an input or another output is refused with both names, and nothing is touched" {
    while IFS='|' read -r arguments words; do
        # shellcheck disable=SC2086
        run "$WEIR" $arguments
        [ "$status" -eq 2 ] || { echo "$arguments: exit $status, output $output"; false; }
        [[ "$output" == *"$words"* ]] || { echo "$arguments: $output"; false; }
        [ "$(echo "$output" | wc -l)" -eq 1 ]
        untouched
    done <<'ROWS'
train --model model --data text --steps 1 --metrics ./text|--data and --metrics are the same file './text': give --metrics another name
train --model model --data text --steps 1 --metrics link|--data and --metrics are the same file
train --model model --data text --steps 1 --trace hard|--data and --trace are the same file
train --model model --data small.json --val-data text --steps 1 --trace there/../text|--val-data and --trace are the same file
train --model model --data text,graph.json --steps 1 --trace graph.json|--data and --trace are the same file
train --model model --data text --steps 1 --metrics both --trace ./both|--metrics and --trace are the same file
train --model model --data text --steps 1 --metrics promise --trace to-come.jsonl|--metrics and --trace are the same file
train --model model --data text --steps 1 --metrics promise --trace there/../to-come.jsonl|--metrics and --trace are the same file
train --model model --data text --steps 1 --force --metrics text|--data and --metrics are the same file
train --model model --init-from model --data text --steps 1 --metrics model/model.safetensors|'model/model.safetensors' of --metrics belongs to the folder 'model' of --model
train --model ./small.json --init-from model --data text --steps 1 --metrics model/model.safetensors|belongs to the folder 'model' of --init-from
train --model model/ --data text --steps 1 --trace model/config.json|'model/config.json' of --trace belongs to the folder 'model/' of --model
train --model model/ --data text --steps 1 --trace model/merges.txt|'model/merges.txt' of --trace belongs to the folder 'model/' of --model
train --model ./small.json --data text --steps 1 --trace small.json|--model and --trace are the same file
train --model ./small.json --data text --steps 1 --export e --metrics e/model.safetensors|'e/model.safetensors' of --metrics belongs to the folder 'e' of --export
train --model ./small.json --data text --steps 1 --export e --trace ./e/config.json|'./e/config.json' of --trace belongs to the folder 'e' of --export
train --model ./small.json --data text --steps 1 --export e --metrics e|--export and --metrics are the same file 'e'
train --model ./small.json --data text --config config.json --metrics config.json|--config and --metrics are the same file
train --model ./small.json --data text --schedule ./s.csv --trace s.csv|--schedule and --trace are the same file
train --model mlp --data images --stages 1 --steps 1 --metrics images/labels|'images/labels' of --metrics belongs to the folder 'images' of --data
train --model mlp --data images/ --stages 1 --steps 1 --trace images/pixels|belongs to the folder 'images/' of --data
train --model ./small.json --init-from model --data text --steps 1 --export model|--export would replace 'model', which is read by --init-from: give another folder, or --force
train --model model --data text --steps 1 --export ./there/../model/|--export would replace 'model', which is read by --model
train --model ./small.json --init-from model/model.safetensors --data text --steps 1 --export model|--export would replace 'model/model.safetensors', which is read by --init-from
train --model ./small.json --data text --steps 1 --metrics graph.json|'graph.json' of --metrics is there and has no metrics: give another name, or --force to replace it
schedule convert s.csv --to comms -o s.csv|FILE and --out are the same file 's.csv'
schedule convert s.csv --to comms --out ./there/../s.csv|FILE and --out are the same file
plan --graph graph.json --devices 1 --draw graph.json|--graph and --draw are the same file
plan --graph graph.json --devices 1 --save-graph graph.json|--graph and --save-graph are the same file
plan --graph graph.json --devices 1 --draw new.dot --save-graph ./new.dot|--draw and --save-graph are the same file
plan --model model --devices 1 --draw model/config.json|belongs to the folder 'model' of --model
train --model ./small.json --data text --steps 1 --metrics=|--metrics is empty
ROWS
}

@test "standard output and standard error are outputs too" {
    train --steps 2 --metrics m
    cp m before
    run bash -c '"$WEIR" train --model ./small.json --data text --steps 1 --metrics m 2>>m'
    [ "$status" -eq 2 ]
    head -n 3 m | cmp - before
    grep -q -- '--metrics and standard error are the same file' m
    cp s.csv s2.csv
    run bash -c '"$WEIR" schedule convert s2.csv --to comms >>s2.csv'
    [ "$status" -eq 2 ]
    cmp s.csv s2.csv
    train --steps 2 --metrics /dev/stdout >m2
    [ "$(grep -c '"step"' m2)" -eq 2 ]
}

@test "new files beside what is read are fine, and so is writing them again" {
    for _ in 1 2; do
        train --init-from model --metrics model/m.jsonl --trace model/t.json
        "$WEIR" train --model mlp --data images --stages 1 --microbatches 1 --steps 1 -q --metrics images/m.jsonl --trace images/t.json
        train --export e --metrics e/m.jsonl
        train --metrics /dev/null --trace /dev/null
        "$WEIR" plan --graph graph.json --devices 1 --draw plan.dot >/dev/null
        "$WEIR" schedule make 1f1b -p 2 -m 2 -o made.csv
    done
    "$WEIR" train --model gpt2-tiny --data text --stages 1 --microbatches 1 --seq-len 8 --steps 1 -q --export gpt2-tiny
    "$WEIR" train --model gpt2-tiny --data text --stages 1 --microbatches 1 --seq-len 8 --steps 1 -q --export gpt2-tiny
}

@test "a folder of others is replaced with --force only, Weir's own without" {
    mkdir theirs notes
    cp model/config.json theirs
    echo mine >notes/diary
    run train --export theirs
    [ "$status" -eq 2 ]
    [[ "$output" == *"'theirs' of --export has a model that weir did not write: give another folder, or --force to replace it" ]]
    [ ! -e theirs/model.safetensors ]
    train --export theirs --force
    [ -s theirs/model.safetensors ]
    train --export theirs
    train --export notes
    [ "$(cat notes/diary)" = mine ]
    cp model/model.safetensors old
    train --init-from model --steps 2 --lr 0.1 --export model --force
    run ! cmp -s old model/model.safetensors
    echo '{"notes": 1}' >m
    train --metrics m --force
    grep -q '"step": 1' m
}

@test "links stay links and permissions stay" {
    train --metrics promise
    [ -L promise ]
    [ "$(grep -c '"step"' to-come.jsonl)" -eq 1 ]
    : >real.json
    chmod 640 real.json
    ln -s real.json trace.json
    train --trace trace.json
    [ -L trace.json ]
    [ -s real.json ]
    [ "$(stat -c %a real.json)" = 640 ]
    : >made.csv
    chmod 604 made.csv
    "$WEIR" schedule make 1f1b -p 2 -m 2 -o made.csv
    [ "$(stat -c %a made.csv)" = 604 ]
    chmod 640 model/model.safetensors
    mv model/config.json config.away
    ln -s ../config.away model/config.json
    train --export model
    [ "$(stat -c %a model/model.safetensors)" = 640 ]
    [ -L model/config.json ]
}

@test "the second of two runs with one metrics file is told" {
    "$WEIR" train --model ./small.json --data text --stages 1 --steps 1000000 -q --metrics m 3>&- &
    pid=$!
    for _ in $(seq 200); do [ -s m ] && break; sleep 0.05; done
    run train --metrics m
    kill -TERM "$pid"
    wait "$pid" || true
    [ "$status" -eq 1 ]
    [[ "$output" == *"'m' is being written by another run: give the metrics of this one another name" ]]
    sed -n 2p m | grep -q '"step": 1'
    train --metrics m --force
    [ "$(grep -c '"step"' m)" -eq 1 ]
}

@test "an output may be /dev/stdout, of a pipe too" {
    "$WEIR" schedule make 1f1b -p 2 -m 3 -o s.csv
    [ "$("$WEIR" schedule make 1f1b -p 2 -m 3 -o /dev/stdout | cat)" = "$(cat s.csv)" ]
    [ "$("$WEIR" schedule make 1f1b -p 2 -m 3 -o /dev/fd/3 3> >(cat))" = "$(cat s.csv)" ]
}
