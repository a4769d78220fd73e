#!/usr/bin/env bats
# weir train: stages, ranks and chunks as options say, and as the first line shows.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
}

train() {
    "$WEIR" train --model gpt2-tiny --data text --microbatches 4 --microbatch-size 1 --seq-len 8 --steps 1 "$@"
}

# arguments | first line
@test "the first line says stages, ranks and chunks, and what a step is" {
    while IFS='|' read -r arguments words; do
        # shellcheck disable=SC2086
        run --separate-stderr train $arguments
        [ "$status" -eq 0 ] || { echo "$arguments: $stderr"; false; }
        [[ "${stderr_lines[0]}" == "weir train: gpt2-tiny, 1.23 million parameters: $words" ]] || { echo "$arguments: ${stderr_lines[0]}"; false; }
    done <<'ROWS'
--stages 1|1 stage on 1 rank (1f1b); a step is 4 samples, 32 tokens
|2 stages on 2 ranks (1f1b); a step is 4 samples, 32 tokens
--ranks 2|2 stages on 2 ranks (1f1b); a step is 4 samples, 32 tokens
-p 3 --schedule GPipe|3 stages on 3 ranks (gpipe); a step is 4 samples, 32 tokens
--pp 2 --schedule ScheduleZBVZeroBubble|4 stages on 2 ranks x 2 chunks (zbv); a step is 4 samples, 32 tokens
--ranks 2 --stages 4 --schedule v-half|4 stages on 2 ranks x 2 chunks (v-half); a step is 4 samples, 32 tokens
--ranks 2 --chunks 3 --schedule interleaved|6 stages on 2 ranks x 3 chunks (interleaved); a step is 4 samples, 32 tokens
--ranks 2 --replicas 2 --zero 1|2 stages on 2 ranks (1f1b), 2 replicas with ZeRO-1; a step is 8 samples, 64 tokens
ROWS
}

@test "all stages on one rank are worth a warning" {
    run --separate-stderr train --stages 2 --schedule zbv
    [[ "$stderr" == *"all 2 stages are on one rank, which does one thing at a time: --ranks 2 puts 4 stages on 2"* ]]
    run --separate-stderr train --stages 1
    [[ "$stderr" != *"on one rank, which"* ]]
    run --separate-stderr train --stages 2 --schedule zbv -q
    [ -z "$stderr" ]
}

@test "chunks that a schedule brings along are worth a word, where stages were counted" {
    run --separate-stderr train --stages 4 --schedule v-half
    [[ "${stderr_lines[1]}" == "weir train: 'v-half' has 2 stages on each rank, so that --stages 4 is 2 ranks: --ranks 4 puts 8 stages on 4" ]]
    for arguments in "--ranks 2" "--stages 4 --chunks 2" "--stages 4 -q"; do
        # shellcheck disable=SC2086
        run --separate-stderr train --schedule v-half $arguments
        [[ "$status" -eq 0 && "$stderr" != *"on each rank"* ]]
    done
}

@test "several stages on each rank are advised a schedule that has them" {
    for arguments in "--ranks 2 --chunks 2" "--ranks 2 --stages 4" "--ranks 2 --stages 4 --chunks 2"; do
        # shellcheck disable=SC2086
        run train $arguments
        [ "$status" -eq 2 ]
        [[ "$output" == "weir train: schedule '1f1b' has one stage on each rank, not 2: use --schedule interleaved, or --ranks 4" ]]
    done
    run --separate-stderr train --ranks 2 --stages 6 --schedule interleaved
    [[ "$status" -eq 0 && "${stderr_lines[0]}" == *": 6 stages on 2 ranks x 3 chunks (interleaved)"* ]]
    run train --ranks 2 --stages 5 --schedule interleaved
    [[ "$status" -eq 2 && "$output" == *"--ranks 2 with 2 chunks each are 4 stages, --stages says 5: leave one of them out" ]]
}

@test "the memory table begins with the layout" {
    run "$WEIR" train --model gpt2-tiny --schedule v-half --stages 4 --print-memory full
    [ "${lines[0]}" = "# gpt2-tiny, 1.23 million parameters: 4 stages on 2 ranks x 2 chunks (v-half); a step is 16 samples, 1024 tokens" ]
}

@test "ranks and stages that contradict each other are refused" {
    run train --ranks 2 --stages 3
    [ "$status" -eq 2 ]
    [[ "$output" == *"--ranks 2 with 1 chunk each are 2 stages, --stages says 3: leave one of them out" ]]
    "$WEIR" schedule make zbv -p 2 -m 4 -o s.csv
    run train --ranks 4 --schedule ./s.csv
    [ "$status" -eq 2 ]
    [[ "$output" == *"'./s.csv' has 2 ranks, --ranks says 4" ]]
    train --ranks 2 --schedule ./s.csv -q
}

@test "--min-lr and AdamW's numbers do what they say" {
    train --steps 3 -q --metrics a --lr-schedule cosine --warmup 0 --lr 0.01 --min-lr 0.004
    [ "$(grep -o '"lr": [^,]*' a | tail -n 1)" = '"lr": 0.004' ]
    train --steps 3 -q --metrics b --adam-beta1 0.9 --adam_beta2 0.95 --adam-eps 1e-8
    train --steps 3 -q --metrics c
    train --steps 3 -q --metrics d --adam-beta2 0.999
    losses() { grep -o '"loss": [^,]*' "$1"; }
    [ "$(losses b)" = "$(losses c)" ]
    [ "$(losses c)" != "$(losses d)" ]
    run train --optimizer SGD --adam-beta1 0.5
    [[ "$status" -eq 2 && "$output" == *"--adam-beta1 is for --optimizer adamw: leave it out" ]]
    run train --min-lr 0.1
    [[ "$status" -eq 2 && "$output" == *"--min-lr is where --lr-schedule cosine ends: give both" ]]
    run train --min-lr 0.1 --lr-schedule Cosine
    [[ "$status" -eq 2 && "$output" == *"--min-lr 0.1 is above the learning rate 0.001: give a smaller one" ]]
}
