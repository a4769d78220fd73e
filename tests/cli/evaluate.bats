#!/usr/bin/env bats
# weir evaluate, and weir train without steps.

bats_require_minimum_version 1.5.0

setup_file() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    "$WEIR" train --model gpt2-tiny --data text --val-data text --val-every 100 --val-batches 20 --microbatches 2 --microbatch-size 2 --seq-len 8 \
        --steps 3 -q --json --export model >trained.json
}

setup() {
    cd "$BATS_FILE_TMPDIR" || exit 1
}

evaluate() {
    "$WEIR" evaluate --init-from model --data text --seq-len 8 "$@"
}

@test "the loss is the validation's, to the bit, for any layout" {
    loss=$(evaluate --batches 20 --microbatches 2 --microbatch-size 2 -q)
    [ "$loss" = "$("$JSON_GET" val_loss_last <trained.json)" ]
    for layout in "--stages 3" "--ranks 2 --schedule zbv" "--pp 2 --schedule GPipe"; do
        # shellcheck disable=SC2086
        [ "$(evaluate --batches 20 --microbatches 2 --microbatch-size 2 -q $layout)" = "$loss" ]
    done
}

@test "all whole batches are taken, and the result says how many samples that is" {
    run --separate-stderr evaluate --microbatch-size 7
    [ "$status" -eq 0 ]
    [ "${stderr_lines[0]}" = "weir evaluate: model/config.json, 1.23 million parameters: 1 stage on 1 rank (1f1b); a batch is 7 samples, 56 tokens" ]
    [[ "${stderr_lines[1]}" == "data: text as text, "*" tokens as bytes" ]]
    [[ "$output" =~ ^model/config.json\ on\ ([0-9]+)\ of\ ([0-9]+)\ samples:\ loss\ [0-9.]+,\ perplexity\ [0-9.]+$ ]]
    [ $((BASH_REMATCH[2] - BASH_REMATCH[1])) -lt 7 ]
    [ $((BASH_REMATCH[1] % 7)) -eq 0 ]
    run --separate-stderr evaluate --json -q
    [ "$("$JSON_GET" samples <<<"$output")" -ge 1 ]
    [ "$("$JSON_GET" targets <<<"$output")" -eq $((8 * $("$JSON_GET" samples <<<"$output"))) ]
}

# arguments | exit status | words
@test "what is wrong is said in this command's words" {
    while IFS='|' read -r arguments code words; do
        # shellcheck disable=SC2086
        run "$WEIR" evaluate $arguments
        [ "$status" -eq "$code" ] || { echo "$arguments: $output"; false; }
        [[ "$output" == "weir evaluate: "*"$words"* ]] || { echo "$arguments: $output"; false; }
    done <<'ROWS'
--data text|2|--init-from is missing
--init-from model|2|--data is missing
--init-from model --data text --batches 100000|2|--batches 100000 of 4 samples are more than the
--init-from model --data text --microbatch-size 1000000|2|give more --data, or smaller --microbatches
--init-from nowhere --data text|1|cannot open 'nowhere/config.json'
--init-from model/model.safetensors --data text|2|--model is missing
--init-from model --data nowhere|1|cannot open 'nowhere'
--init-from model --data text --lr 1|2|unknown option '--lr'
--init-from model --data text --tp-size 2|2|weir has no tensor parallelism
ROWS
}

@test "a training without steps validates, exports, and changes nothing" {
    run --separate-stderr "$WEIR" train --model gpt2-tiny --init-from model --val-data text --val-batches 20 --microbatches 2 --microbatch-size 2 --seq-len 8 \
        --steps 0 --json -q --export same --metrics none
    [ "$status" -eq 0 ]
    [ "$("$JSON_GET" val_loss_last <<<"$output")" = "$("$JSON_GET" val_loss_last <trained.json)" ]
    [ "$("$JSON_GET" steps <<<"$output")" -eq 0 ]
    [ "$("$JSON_GET" loss_last <<<"$output")" = null ]
    cmp model/model.safetensors same/model.safetensors
    [ ! -e none ]
    run --separate-stderr "$WEIR" train --model gpt2-tiny --init-from model --steps 0
    [ "$status" -eq 0 ]
    [ "$output" = "gpt2-tiny took no step" ]
}

@test "--help fits one screen" {
    run "$WEIR" evaluate --help
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -le 30 ]
}
