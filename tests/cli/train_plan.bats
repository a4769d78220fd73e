#!/usr/bin/env bats
# A cut that anyone gives: weir plan -o, weir train --plan, --first-layers and --layout.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
}

train() {
    "$WEIR" train --data text --steps 3 "$@"
}

# A plan of one stage on each rank, for batches of 16.
plan() {
    "$WEIR" plan --model gpt2-tiny --max-replicas 1 --schedule 1f1b --recompute none --microbatch-size 4 --microbatches 4 "$@" >log
}

# Losses and norms of the steps.
numbers() {
    grep -o '"\(loss\|grad_norm\)": [^,]*' "$1"
}

@test "a plan trains as the same options by hand do, to the bit" {
    "$WEIR" plan --model gpt2-tiny --devices 3 --seq-len 16 --microbatch-size 2 --microbatches 6 --schedule zb-h1 --max-replicas 1 \
        --optimizer sgd --recompute 'h.1.*' -o plan.json
    first=$(grep -A 9 first_layers plan.json | tr -d ' \n' | sed 's/.*\[\([0-9,]*\)\].*/\1/')
    train --plan plan.json --metrics a -q
    train --model gpt2-tiny --first-layers "$first" --seq-len 16 --microbatch-size 2 --microbatches 6 --schedule zb-h1 \
        --optimizer sgd --recompute 'h.1.*' --metrics b -q
    [ "$(numbers a | wc -l)" -ge 6 ]
    [ "$(numbers a)" = "$(numbers b)" ]
    "$WEIR" train --plan plan.json --print-memory full >a.txt
    "$WEIR" train --model gpt2-tiny --first-layers "$first" --seq-len 16 --microbatch-size 2 --microbatches 6 --schedule zb-h1 \
        --optimizer sgd --recompute 'h.1.*' --print-memory full >b.txt
    cmp a.txt b.txt
}

@test "a layout and the numbers of its layers are one cut" {
    train --model gpt2-tiny --layout 'Et*2|(tt|)*2L' --metrics a -q
    train --model gpt2-tiny --first-layers 0,5,9,13 --metrics b -q
    train --model gpt2-tiny --first-layers 0,5,9,13 --schedule auto --metrics c -q
    [ "$(numbers a)" = "$(numbers b)" ]
    [ "$(numbers a)" = "$(numbers c)" ]
    run "$WEIR" train --model gpt2-tiny --layout 'Et*2|(tt|)*2L' --schedule interleaved --chunks 2 --print-memory full
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == *"4 stages on 2 ranks x 2 chunks (interleaved)"* ]]
}

# option and value | what the message says
@test "an option that contradicts the plan is refused and named" {
    plan --devices 3 -o plan.json
    while IFS='|' read -r option words; do
        # shellcheck disable=SC2086
        run train --plan plan.json $option
        [ "$status" -eq 2 ] || { echo "$option: $status $output"; false; }
        [[ "$output" == *"$words"* ]] || { echo "$option: $output"; false; }
    done <<'ROWS'
--stages 2|--stages 2 contradicts plan 'plan.json', which has 3
--ranks 2|--ranks 2 contradicts plan
--chunks 3|--chunks 3 contradicts plan
--replicas 2|--replicas 2 contradicts plan
--zero 1|--zero 1 contradicts plan
--microbatches 8|--microbatches 8 contradicts plan 'plan.json', which has 4
--microbatch-size 1|--microbatch-size 1 contradicts plan
--seq-len 32|--seq-len 32 contradicts plan
--schedule zbv|--schedule zbv contradicts plan 'plan.json', which has 1f1b
--optimizer sgd|--optimizer sgd contradicts plan
--dtype bf16|--dtype bf16 contradicts plan 'plan.json', which has f32
--recompute full|--recompute full contradicts plan
--model llama-tiny|plan 'plan.json' was made for model 'gpt2-tiny' with 14 layers and 1230848 parameters
--first-layers 0,1|plan 'plan.json' cuts the model elsewhere than --first-layers
--layout Et*6L|plan 'plan.json' cuts the model elsewhere than --layout
ROWS
}

@test "a plan with an order of its own trains by it, to the bits of its cut" {
    size=(--seq-len 16 --microbatch-size 2 --microbatches 3 --optimizer sgd)
    "$WEIR" plan --model gpt2-tiny --devices 2 "${size[@]}" --max-replicas 1 --recompute none --schedule auto --top 1 -o plan.json >plans
    grep -q '"schedule": "auto"' plan.json
    grep -q '"order": \[' plan.json
    first=$(grep -A 9 first_layers plan.json | tr -d ' \n' | sed 's/.*first_layers":\[\([0-9,]*\)\].*/\1/')
    train --plan plan.json --metrics a --trace trace.json -q
    # bits are those of any order; the trace says which one ran
    "$JSON_GET" order.0 order.1 <plan.json >rows
    "$JSON_GET" otherData.schedule <trace.json | tr -d '"' | sed 's/\\n/\n/g' | head -n 2 >ran
    [ "$(tr -d '"' <rows)" = "$(cat ran)" ]
    train --model gpt2-tiny --first-layers "$first" "${size[@]}" --schedule gpipe --metrics b -q
    [ "$(numbers a | wc -l)" -ge 6 ]
    [ "$(numbers a)" = "$(numbers b)" ]
    run train --plan plan.json --memory-cap 1G
    [ "$status" -eq 2 ]
    [[ "$output" == *"plan 'plan.json' has one: leave the option out"* ]]
    run train --plan plan.json --schedule 1f1b
    [ "$status" -eq 2 ]
    [[ "$output" == *"--schedule 1f1b contradicts plan 'plan.json', which has auto"* ]]
}

@test "options that say what the plan says are no contradiction" {
    plan --devices 3 -o plan.json
    train --plan plan.json --model gpt2-tiny --ranks 3 --schedule 1F1B --dtype fp32 --optimizer AdamW --recompute none -q
}

@test "a plan for another device or version is used with a warning" {
    plan --devices 2 -o plan.json
    sed 's/"device": "cpu"/"device": "cuda"/; s/"library": "[^"]*"/"library": "0.0.7"/' plan.json >other.json
    run --separate-stderr train --plan other.json --device cpu
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"plan 'other.json' was made for device 'cuda', not 'cpu': what it predicts may be wrong"* ]]
    [[ "$stderr" == *"plan 'other.json' was made for version '0.0.7', not '"* ]]
    run --separate-stderr train --plan plan.json
    [[ "$stderr" != *"was made for"* ]]
}

@test "what is no plan is refused" {
    echo '{"stages": []}' >split.json
    run train --plan split.json
    [ "$status" -eq 1 ]
    [[ "$output" == *"plan 'split.json' is no plan that can be trained by"*"'weir plan' with a --model and -o writes one"* ]]
    run train --plan nothing.json
    [[ "$status" -eq 1 && "$output" == *"nothing.json"* ]]
    run train --plan "$BATS_TEST_TMPDIR"
    [ "$status" -eq 1 ]
    plan --devices 2 -o plan.json
    sed 's/"schedule": "1f1b"/"schedule": "1f2b"/' plan.json >typo.json
    run train --plan typo.json
    [[ "$status" -eq 2 && "$output" == *"did you mean '1f1b'?"* ]]
    sed 's/"model": "gpt2-tiny"/"model": "llama-tiny"/' plan.json >swapped.json
    run train --plan swapped.json
    [[ "$status" -eq 1 && "$output" == *"was made for model 'llama-tiny' with 14 layers"* ]]
}

@test "cuts that contradict other options are refused" {
    run train --model gpt2-tiny --first-layers 0,5 --layout Et*6L
    [[ "$status" -eq 2 && "$output" == *"leave one of them out" ]]
    run train --model gpt2-tiny --first-layers 0,5 --stages 3
    [[ "$status" -eq 2 && "$output" == *"--first-layers cuts the model into 2 stages, but the schedule has 3, by --stages: leave one of them out" ]]
    run train --model gpt2-tiny --layout 'E|t*6L' --ranks 3
    [[ "$status" -eq 2 && "$output" == *"--layout cuts the model into 2 stages, but the schedule has 3, by --ranks: leave one of them out" ]]
    run train --model gpt2-tiny --first-layers 0,5,5
    [[ "$status" -eq 2 && "$output" == *"--first-layers: stage 1 begins with layer 5 and stage 2 with layer 5: stage 1 would be empty" ]]
    run train --model gpt2-tiny --layout 'Et*6m|L'
    [[ "$status" -eq 2 && "$output" == *"'m' is a layer of multi-token prediction, which no model here has" ]]
}

@test "a checkpoint of a plan goes on by another cut" {
    plan --devices 3 -o plan.json
    train --plan plan.json --checkpoint-dir d -q
    train --plan plan.json --checkpoint-dir d --resume --steps 4 -q --metrics a
    train --checkpoint-dir d --resume --steps 5 -q
    train --checkpoint-dir d --resume --steps 6 --stages 2 -q
    train --checkpoint-dir d --resume --steps 7 --layout 'Et*6|L' -q
}

@test "weir plan --output layout prints a cut between blocks, and names one inside a block" {
    run "$WEIR" plan --model gpt2-tiny --devices 3 --output layout
    [ "$status" -eq 0 ]
    [[ "$output" == "Et"*"|t"*"L" ]]
    train --model gpt2-tiny --layout "$output" -q
    run "$WEIR" plan --model gpt2-tiny --devices 14 --output layout
    [[ "$status" -eq 1 && "$output" == *"stage 1 begins inside a block, with layer 2 ('h.0.mlp'): a layout has whole blocks only" ]]
}

@test "-o is for models and what weir train can run" {
    printf '{"format": "weir-cost-graph", "version": 1, "nodes": [{"id": "a", "forward": 1}], "edges": []}' >g.json
    run "$WEIR" plan --graph g.json --devices 1 -o plan.json
    [[ "$status" -eq 2 && "$output" == *"--out needs --model"* ]]
    run "$WEIR" plan --model gpt2-tiny --devices 2 --any -o plan.json
    [[ "$status" -eq 2 && "$output" == *"--out is about a run, the other options ask for a split"* ]]
    run "$WEIR" plan --model gpt2-tiny --devices 2 --dtype tf32 --device cpu -o plan.json
    [[ "$status" -eq 2 && "$output" == *"--dtype tf32 is for --device cuda: leave it out" ]]
    [ ! -e plan.json ]
}
