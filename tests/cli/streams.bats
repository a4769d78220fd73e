#!/usr/bin/env bats
# Standard streams that are closed, full, or have lost their reader.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    printf '{"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 16, "vocab_size": 256}' >small.json
    printf '{"maxSizePerFPGA": 100, "maxFPGAs": 2, "maxCPUs": 0, "nodes": [{"id": 1, "supportedOnFpga": 1, "cpuLatency": 50, "fpgaLatency": 4, "isBackwardNode": 0, "size": 10}], "edges": []}' >graph.json
    "$WEIR" schedule make 1f1b -p 2 -m 2 -o s.csv
}

train() {
    "$WEIR" train --model ./small.json --data text --stages 1 --microbatches 1 "$@"
}

@test "with closed streams nothing but metrics is in the metrics file" {
    train --steps 3 --metrics plain >/dev/null 2>&1
    [ "$(wc -l <plain)" -eq 4 ]
    train --steps 3 --metrics m2 2>&- >/dev/null
    train --steps 3 --metrics m0 <&- >/dev/null
    run train --steps 3 --metrics m1 >&-
    for file in m0 m1 m2; do
        echo "$file"
        [ "$(wc -l <$file)" -eq 4 ]
        [ "$(grep -c '^{"step": [1-3], .*}$' $file)" -eq 3 ]
    done
    train --steps 3 --trace t.json -q 0<&- 1>&- 2>&- || true
    head -c 20 t.json | grep -q '^{"displayTimeUnit"'
}

@test "a closed standard output is an error of every command that prints" {
    for arguments in "train --model list" "train --model ./small.json --data text --steps 1 --stages 1" "train --model ./small.json --print-memory" \
        "generate --model ./small.json --prompt ab -q" "schedule list" "schedule make 1f1b -p 2 -m 2" "schedule check s.csv" \
        "schedule simulate s.csv" "schedule convert s.csv --to trace" "plan --graph graph.json --devices 1" \
        "plan --graph graph.json --devices 1 --json" "info" "info --json" "info --placement cluster" "train --help" "--help" \
        "--version" "--man train" "schedule --help"; do
        for target in /dev/full closed; do
            [ -e "$target" ] || [ "$target" = closed ] || continue
            code=0
            # shellcheck disable=SC2086
            if [ "$target" = closed ]; then
                "$WEIR" $arguments >&- 2>message || code=$?
            else
                "$WEIR" $arguments >"$target" 2>message || code=$?
            fi
            [ "$code" -eq 1 ] || { echo "$arguments to $target: exit $code"; false; }
            grep -q 'cannot write to standard output' message || { echo "$arguments: $(cat message)"; false; }
        done
    done
}

@test "a reader of standard output that leaves ends the command without a message" {
    run --separate-stderr bash -c 'set -o pipefail; "$WEIR" schedule make zbv -p 64 -m 512 | head -n 1 >/dev/null'
    [ "$status" -eq 141 ]
    [ -z "$stderr" ]
    run --separate-stderr timeout 60 bash -c 'set -o pipefail; "$WEIR" generate --model ./small.json --prompt a --tokens 15 -q | true'
    [[ "$status" -eq 141 || "$status" -eq 0 ]]
    [ -z "$stderr" ]
}

@test "a closed standard input is an error where it is read" {
    run bash -c '"$WEIR" schedule check - <&-'
    [ "$status" -eq 1 ]
}

@test "a reader of standard error that leaves ends the progress, not the run" {
    run bash -c 'set -o pipefail; { "$WEIR" train --model ./small.json --data text --stages 1 --microbatches 1 --steps 40 --val-data text --val-every 1 --metrics m --export e 2>&1 >result; echo "$?" >code; } | true'
    [ "$(cat code)" -eq 0 ]
    [ "$(grep -c '"step"' m)" -eq 40 ]
    [ -s e/model.safetensors ]
    grep -q 'trained .* for 40 steps' result
}
