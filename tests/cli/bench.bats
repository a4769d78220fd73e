#!/usr/bin/env bats
# weir bench: what it runs and prints; the times are the machine's.   labels: slow
# (with the address sanitizer: kernels take 15 times as long there)
bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
}

small() {
    "$WEIR" bench schedules "$@" --microbatches 4 --microbatch-size 1 --seq-len 8 --steps 2 --warm-up 0
}

@test "bench schedules runs schedules beside their prediction, and says which it could not run" {
    run -0 --separate-stderr small 1f1b zbv dualpipev --ranks 3
    [[ "${lines[0]}" == "weir "*", gpt2-tiny: 3 ranks, 4 micro-batches of 1, 1 threads per rank; median of 2 steps, in ms" ]]
    [ "$(grep -cE '^(1f1b|zbv) +[12] +[0-9.]+ +[0-9.]+ ' <<<"$output")" -eq 2 ]
    [[ "$output" == *"dualpipev: dualpipev on 3 ranks needs at least 6 micro-batches, not 4: use --microbatches 6"* ]]
    run -1 small dualpipev --ranks 3
    [[ "$output" == *"no schedule ran; dualpipev: "* ]]
}

@test "bench schedules has every figure in JSON and CSV, and the same loss for all" {
    run -0 --separate-stderr small gpipe zb-h1 auto --json
    for i in 0 1 2; do
        "$JSON_GET" schedules.$i.predicted_ms schedules.$i.measured_ms schedules.$i.fastest_ms schedules.$i.slowest_ms \
            schedules.$i.measured_bubble schedules.$i.peak_bytes <<<"$output" | awk '!($1 > 0) && NR != 5 { exit 1 }'
        "$JSON_GET" schedules.$i.loss <<<"$output"
    done >losses
    [ "$(sort -u losses | wc -l)" -eq 1 ]
    run -0 --separate-stderr "$WEIR" bench schedules 1f1b --csv --model mlp --recompute full --microbatches 2 --steps 1
    [ "${#lines[@]}" -eq 2 ]
    [[ "${lines[0]}" == "schedule,chunks,predicted_ms,measured_ms,"* && "${lines[1]}" == "1f1b,1,"* ]]
}

@test "bench schedules says whose losses those of two copies of the weights are" {
    run -0 --separate-stderr small chimera 1f1b dualpipe seq1f1b
    [[ "$output" == *$'losses of one stage with 2 replicas, not of one stage\n'* ]]
    [ "$(grep -cE '^  (chimera|dualpipe)$' <<<"$output")" -eq 2 ]
    [[ "$output" == *"seq1f1b: seq1f1b cuts sequences, the others do not: weir train --slices K runs it"* ]]
    run -0 --separate-stderr small chimera dualpipe --json
    for i in 0 1; do
        "$JSON_GET" schedules.$i.losses_of schedules.$i.loss <<<"$output"
    done >losses
    [ "$(sort -u losses | wc -l)" -eq 2 ]
    grep -q 'one stage with 2 replicas' losses
}

@test "bench schedules draws prediction and measurement above each other" {
    run -0 --separate-stderr small 1f1b zbv --html page.html
    [ "$(grep -o '"title":"[^"]*predicted"' page.html | wc -l)" -eq 2 ]
    [ "$(grep -o '"title":"[^"]*: measured, the median of 2 steps"' page.html | wc -l)" -eq 2 ]
    run -2 small 1f1b --model ./page.html --html page.html
}

@test "bench names the form and the schedule that it does not know" {
    run -2 "$WEIR" bench schedule
    [[ "$output" == *"did you mean 'schedules'?"* ]]
    run -2 small zbq
    [[ "$output" == *"unknown schedule 'zbq': did you mean 'zbv'?"* ]]
    run -2 "$WEIR" bench
    run -0 "$WEIR" bench schedules --help
    [[ "$output" == *"--warm-up N"* ]]
}

@test "bench plan runs what the planner chooses from, and holds its choice to the fastest" {
    run -0 --separate-stderr "$WEIR" bench plan --devices 2 --global-batch 2 --seq-len 8 --most 3 --finalists 2 --turns 2 --steps 1
    [[ "${lines[0]}" == "weir "*", gpt2-tiny: a step of 2 samples on 2 cores; "*" configurations run, "*" in 2 turns of 1 steps" ]]
    [ "$(grep -c '^choice ' <<<"$output")" -eq 1 ]
    [[ "${lines[-1]}" == "the planner's choice "* ]]
    [[ "$stderr" == *"sizes of micro-batches profiled, 2 of 2, "*"configurations run, "*"turns of the fastest, 2 of 2, "* ]]
    run -0 --separate-stderr "$WEIR" bench plan --model mlp --devices 1 --global-batch 2 --turns 1 --steps 1 --json -q
    [ -z "$stderr" ]
    "$JSON_GET" choice_ms fastest_ms ratio configurations run.0.predicted_ms run.0.once_ms <<<"$output" | awk '!($1 > 0) { exit 1 }'
    [ "$(grep -o '"choice": true' <<<"$output" | wc -l)" -eq 1 ]
    run -2 "$WEIR" bench plan --schedule dualpipe --global-batch 2 --devices 1
    [[ "$output" == *"schedule 'dualpipe' has two copies of the weights"* ]]
}
