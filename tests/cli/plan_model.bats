#!/usr/bin/env bats
# weir plan --model: how devices train a model fastest, and whether it fits.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    mkdir 7b
    cat >7b/config.json <<'END'
{"model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
 "vocab_size": 32000, "max_position_embeddings": 4096, "tie_word_embeddings": false}
END
}

plan() {
    "$WEIR" plan "$@"
}

@test "a 7B Llama on four devices of 24 GB in bf16: what is missing to fit is said" {
    run --separate-stderr plan --model 7b --devices 4 --device-memory 24G --dtype bf16 --seq-len 2048
    [ "$status" -eq 3 ]
    [[ "${lines[0]}" == "7b, 6738 million parameters, bf16, adamw: a step of 32 samples of 2048 tokens on 4 x cuda with 24.0 GiB" ]]
    [[ "${lines[1]}" == "assumed: "*"--flops, --traffic, --bandwidth"* ]]
    [[ "$stderr" == *"nothing fits: of "*" candidates the leanest has rank "*" GiB, the cap is 24.0 GiB"*": --devices 8 is enough" ]]
}

@test "the five best plans that fit, the fastest first" {
    run plan --model 7b --devices 4 --device-memory 24G --dtype bf16 --seq-len 2048 --optimizer sgd --explain
    [ "$status" -eq 0 ]
    [ "$(grep -c '^ [1-5]\. .* ms .* % .* GiB$' <<<"$output")" -eq 5 ]
    [[ "$output" == *"rank "*" decides"*"candidates, "*" compiled"*"cut: first layers 0,"*"all ranks fit: "* ]]
    plan --model 7b --devices 4 --device-memory 24G --dtype bf16 --seq-len 2048 --optimizer sgd --json >p.json
    grep -o '"step_ms": [0-9.e+]*' p.json | awk '{ if ($2 < last) exit 1; last = $2 } END { exit NR != 5 }'
}

@test "the figures of a plan are those of --print-memory for the run it makes" {
    for options in "--devices 4 --device-memory 24G --dtype bf16 --optimizer sgd" "--devices 8 --device-memory 24G --dtype bf16" \
        "--devices 3 --zero 1 --max-replicas 3 --schedule 1f1b"; do
        model=7b
        [[ "$options" == *bf16* ]] || model=gpt2-tiny
        # shellcheck disable=SC2086
        plan --model $model --seq-len 64 $options --top 1 -o plan.json >log
        tr -d ' \n' <plan.json | grep -o '"ranks":\[.*\]' >planned
        "$WEIR" train --plan plan.json --print-memory --json | tr -d ' \n' | grep -o '"ranks":\[.*\]' >printed
        diff planned printed || { echo "$options"; false; }
    done
}

@test "weir train takes the first plan" {
    plan --model gpt2-tiny --devices 2 --global-batch 8 --seq-len 16 -o plan.json
    run "$WEIR" train --plan plan.json --data text --steps 2
    [ "$status" -eq 0 ]
    [[ "$output" == *"a step is 8 samples, 128 tokens"* ]]
}

@test "what is asked for is kept to" {
    plan --model gpt2-tiny --devices 4 --global-batch 24 --microbatch-size 2 --schedule zbv --recompute 'h.0.*' --zero 0 --max-replicas 2 \
        --json >p.json
    grep -o '"schedule": "[^"]*"' p.json | sort -u | grep -qx '"schedule": "zbv"'
    grep -o '"microbatch_size": [0-9]*' p.json | sort -u | grep -qx '"microbatch_size": 2'
    grep -o '"recompute": "[^"]*"' p.json | sort -u | grep -qx '"recompute": "h.0.\*"'
    grep -o '"replicas": [0-9]*, "micro' p.json | awk '{ if ($2 + 0 > 2) exit 1 }'
}

@test "measured times of layers take the place of flops" {
    printf '{"layers": [' >costs.json
    for i in $(seq 13); do printf '{"F": 1, "I": 1, "W": 1}, ' >>costs.json; done
    printf '{"F": 10, "I": 10, "W": 10}]}' >>costs.json
    run plan --model gpt2-tiny --devices 2 --global-batch 8 --microbatch-size 2 --max-replicas 1 --schedule 1f1b --recompute none \
        --costs costs.json --top 1 --json
    [ "$status" -eq 0 ]
    # the busiest stage has as much at [0, 11], but fills and drains a millisecond longer
    [[ "$output" == *'"first_layers": [0, 12]'* && "$output" == *'"busiest_rank": 0'* ]]
    run plan --model gpt2-tiny --devices 1 --global-batch 8 --microbatch-size 2 --recompute full --costs costs.json --top 1 --json
    [ "$(grep -o '"busiest_ms": [0-9]*' <<<"$output" | cut -d ' ' -f 2)" -ge $((4 * (13 * 4 + 10 * 4))) ]
    plan --model gpt2-tiny --devices 2 --microbatch-size 2 --costs costs.json --json >read.json
    plan --model gpt2-tiny --devices 2 --microbatch-size 2 --costs - --json <costs.json | cmp - read.json
    run plan --model mlp --devices 2 --microbatch-size 2 --costs costs.json
    [[ "$status" -eq 1 && "$output" == *"the costs have 14 layers, model 'mlp' has 8"* ]]
    run plan --model gpt2-tiny --devices 2 --costs costs.json
    [[ "$status" -eq 2 && "$output" == *"the costs are of one size of micro-batches: say which by --microbatch-size"* ]]
    echo '{"stages": [{"F": 1, "I": 1, "W": 1}]}' >stages.json
    run plan --model gpt2-tiny --devices 2 --microbatch-size 2 --costs stages.json
    [[ "$status" -eq 1 && "$output" == *"'stages.json' has no times of layers: 'weir profile --model gpt2-tiny' measures them"* ]]
}

@test "measured hand-overs and the measured optimizer are part of a step" {
    layers() { for i in $(seq 14); do printf '%s{"F": 1, "I": 1, "W": 1, "optimizer": %s}' "$([ "$i" -eq 1 ] || echo ', ')" "$1"; done; }
    of() {
        plan --model gpt2-tiny --devices 2 --max-replicas 1 --global-batch 8 --microbatch-size 2 --schedule 1f1b --recompute none --costs "$1" --top 2 --json |
            "$JSON_GET" plans.0.ranks plans.0.step_ms plans.0.optimizer_ms | awk '{ printf "%.0f ", $1 }'
    }
    echo "{\"layers\": [$(layers 2)]}" >c.json
    [ "$(of c.json)" = "2 119 14 " ] # (4 + 1) * 7 * 3 and seven layers' optimizer
    echo "{\"layers\": [$(layers 2)], \"transfer\": 0.5}" >c.json
    [ "$(of c.json)" = "2 121 14 " ] # to and fro, and once between: rank 0 has two micro-batches in flight
}

@test "a plan for a topology says which device plays which rank, and what would help" {
    run plan --model gpt2-tiny --topology "2 nodes x 2 with 1GiB, 10GB/s inside, 1GB/s between, 5us" --global-batch 8 --seq-len 16 \
        --schedule 1f1b --max-replicas 1 --microbatch-size 2 --explain
    [ "$status" -eq 0 ]
    [[ "$output" == *"links of '2 nodes x 2"*"pipeline 0 on device"*"slowest link between ranks"*"links twice as fast"* ]]
    run bash -c '"$WEIR" plan --model gpt2-tiny --topology "1 x 2, 10GB/s, 1GB/s" --global-batch 8 --top 1 --json | "$JSON_GET" plans.0.devices.0'
    [ "$output" = 0 ]
    run plan --model gpt2-tiny --topology "2 nodes" --global-batch 8
    [[ "$status" -eq 1 && "$output" == *"each level needs a rate"* ]]
}

# arguments|status|words
@test "what is wrong is said" {
    while IFS='|' read -r arguments code words; do
        # shellcheck disable=SC2086
        run plan --model gpt2-tiny $arguments
        [ "$status" -eq "$code" ] || { echo "$arguments: $status $output"; false; }
        [[ "$output" == *"$words"* ]] || { echo "$arguments: $output"; false; }
    done <<'ROWS'
|2|no devices: give --devices K or --topology
--devices 2 --schedule dualpipe|2|schedule 'dualpipe' has two copies of the weights, which are not planned
--devices 2 --schedule 1f2b|2|did you mean '1f1b'?
--devices 2 --zero 3|2|unknown value of --zero '3'
--devices 2 --device gpu|2|unknown device 'gpu'
--devices 2 --device cuda:0|2|a plan is for a kind of device
--devices 2 --dtype tf32 --device cpu|2|--dtype tf32 is for --device cuda
--devices 2 --global-batch 9 --microbatch-size 2|2|a batch of 9 samples has no micro-batches of 2
--devices 2 --recompute h.0.mpl|2|did you mean 'h.0.mlp'
--devices 2 --any --top 3|2|--top is about a run
--devices 2 --schedule inference|2|schedule 'inference' cannot train
--devices 2 --device-memory 1M|3| GiB, the cap is 0.0010 GiB (
ROWS
}
