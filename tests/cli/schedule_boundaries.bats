#!/usr/bin/env bats
# weir schedule check and simulate of models with skip connections, and files that cannot name their boundaries.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    "$WEIR" schedule make 1f1b -p 4 -m 6 -o four.csv
    "$WEIR" schedule make 1f1b -p 4 -m 6 --comms -o comms.csv
}

check() { run --separate-stderr "$WEIR" schedule check "$@"; }

@test "a schedule takes boundaries as a list, the neighbours by that word" {
    check four.csv
    [[ "$status" -eq 0 && "$output" != *boundaries* ]]
    check four.csv --boundaries neighbours,0-3
    [[ "$status" -eq 0 && "$output" == "valid under edge channels: 4 ranks, 4 stages, 6 micro-batches, "*", boundaries 0-1 1-2 0-3 2-3" ]]
    check four.csv --boundaries 0-2,0-1,2-3,1-2
    [[ "$status" -eq 0 && "$output" == *", boundaries 0-1 0-2 1-2 2-3" ]]
}

@test "boundaries that do not fit are named" {
    check four.csv --boundaries neighbours,0-4
    [[ "$status" -eq 1 && "$stderr" == *"boundary 0-4 does not fit: the schedule has stages 0 to 3"* ]]
    check four.csv --boundaries neighbours,3-1
    [[ "$status" -eq 1 && "$stderr" == *"boundary 3-1 would be read before it is made"* ]]
    check four.csv --boundaries 0-3,1-2
    [[ "$status" -eq 1 && "$stderr" == *"stage 1 is fed by nobody: a boundary into it is missing, such as 0-1"* ]]
    check four.csv --boundaries 0-1,1-3,0-2
    [[ "$status" -eq 1 && "$stderr" == *"stage 2 feeds nobody: a boundary out of it is missing, such as 2-3"* ]]
    check four.csv --boundaries neighbours,1-2
    [[ "$status" -eq 1 && "$stderr" == *"boundary 1-2 is there twice"* ]]
    for list in "" 0 0-1, a-b 0-1-2 -1-2 0-99999999999; do
        check four.csv "--boundaries=$list"
        [[ "$status" -eq 2 && "$stderr" == *"is no boundary: --boundaries takes pairs of stages as 0-3, or the word neighbours"* ]]
    done
    check four.csv --boundaries 0-1 --model umlp
    [[ "$status" -eq 2 && "$stderr" == *"--model and --boundaries exclude each other"* ]]
}

@test "a model says what its stages hand to each other" {
    "$WEIR" schedule make 1f1b -p 8 -m 4 -o eight.csv
    check eight.csv --model umlp
    [[ "$status" -eq 0 && "$output" == *", boundaries 0-1 1-2 2-3 3-4 2-5 4-5 1-6 5-6 6-7" ]]
    check eight.csv --model mlp
    [[ "$status" -eq 0 && "$output" == *", boundaries 0-1 1-2 2-3 3-4 4-5 5-6 6-7" ]]
    "$WEIR" schedule make 1f1b -p 9 -m 4 -o nine.csv
    check nine.csv --model umlp
    [[ "$status" -eq 3 && "$stderr" == *"9 stages"* ]]
    check eight.csv --model umpl
    [[ "$status" -eq 2 && "$stderr" == *"'umpl'"* ]]
}

@test "simulate counts what goes over the boundaries, once for each" {
    messages() { "$WEIR" schedule simulate 1f1b -p 8 -m 4 --json "$@" | tr -d ' \n' | sed 's/.*"messages":\([0-9]*\).*/\1/'; }
    [ "$(messages)" -eq $((2 * 7 * 4)) ]
    [ "$(messages --model mlp)" -eq $((2 * 7 * 4)) ]
    [ "$(messages --model umlp)" -eq $((2 * 9 * 4)) ]
    [ "$(messages --boundaries neighbours,0-7)" -eq $((2 * 8 * 4)) ]
    run "$WEIR" schedule simulate 1f1b gpipe -p 4,8 -m 4 --boundaries neighbours,0-3 --csv
    [[ "$status" -eq 0 && "${#lines[@]}" -eq 5 ]]
    "$WEIR" schedule simulate zbv -p 4 -m 8 --model umlp --comm 0.1 --trace t.json --draw t.svg >text
    [ -s t.json ] && [ -s t.svg ]
}

@test "SEND and RECV cells cannot name what goes past a stage" {
    check comms.csv
    [ "$status" -eq 0 ]
    check comms.csv --boundaries neighbours
    [ "$status" -eq 0 ]
    cannot="'comms.csv': SEND and RECV cells cannot name what goes from stage 0 to stage 3: only compute actions may be there"
    check comms.csv --boundaries neighbours,0-3
    [[ "$status" -eq 1 && "$stderr" == *"$cannot"* ]]
    run --separate-stderr "$WEIR" schedule simulate comms.csv --boundaries neighbours,0-3
    [[ "$status" -eq 1 && "$stderr" == *"$cannot"* ]]
    for channels in shared blocking; do
        check four.csv --boundaries neighbours,0-3 --channels $channels
        [[ "$status" -eq 1 && "$stderr" == *"$channels channels take transfers in the order of SEND and RECV cells, which cannot name"*"--channels edge"* ]]
    done
    run --separate-stderr "$WEIR" schedule simulate four.csv --boundaries neighbours,0-3 --rule one-action-per-step
    [[ "$status" -eq 1 && "$stderr" == *"cannot name what goes from stage 0 to stage 3"* ]]
}

@test "weir train refuses such a file for a model with skips, and takes the one without cells" {
    mkdir images
    printf '\0\0\10\3\0\0\0\2\0\0\0\1\0\0\0\2\1\2\3\4' >images/train-images-idx3-ubyte
    printf '\0\0\10\1\0\0\0\2\0\1' >images/train-labels-idx1-ubyte
    "$WEIR" schedule make 1f1b -p 8 -m 2 --comms -o comms8.csv
    "$WEIR" schedule make 1f1b -p 8 -m 2 -o eight.csv
    train() { run --separate-stderr "$WEIR" train --model "$1" --data images --microbatch-size 1 --steps 1 -q --schedule "$2"; }
    train umlp comms8.csv
    [[ "$status" -eq 1 && "$stderr" == *"'comms8.csv': SEND and RECV cells cannot name what goes from stage 2 to stage 5"* ]]
    train umlp eight.csv
    [ "$status" -eq 0 ]
    train mlp comms8.csv
    [ "$status" -eq 0 ]
}

@test "a model is cut as it is asked for, or as a plan has it" {
    check four.csv --model umlp --first-layers 0,3,5,7
    [[ "$status" -eq 0 && "$output" == *", boundaries 0-1 0-2 1-2 2-3" ]]
    check four.csv --model umlp --first-layers 0,1,2,3
    [[ "$status" -eq 0 && "$output" == *", boundaries 0-1 1-2 1-3 2-3" ]]
    check four.csv --model umlp --first-layers 0,3,5
    [[ "$status" -eq 1 && "$stderr" == *"the cut has 3 stages, the schedule has 4"* ]]
    check four.csv --model umlp --first-layers 0,3,5,9
    [[ "$status" -eq 2 && "$stderr" == *"stage 3 begins with layer 9, model 'umlp' has layers 0 to 7"* ]]
    check four.csv --first-layers 0,3,5,7
    [[ "$status" -eq 2 && "$stderr" == *"--first-layers cuts a model into stages: give --model"* ]]
    "$WEIR" plan --model umlp --devices 4 --max-replicas 1 --global-batch 8 --bandwidth 1e15 --schedule 1f1b -o plan.json >plans
    stages=$("$JSON_GET" first_layers.# <plan.json)
    "$WEIR" schedule make 1f1b -p "$stages" -m 4 -o planned.csv
    "$WEIR" schedule check planned.csv --plan plan.json >of_plan
    "$WEIR" schedule check planned.csv --model umlp --first-layers "$(tr -d ' \n' <plan.json | sed 's/.*"first_layers":\[\([0-9,]*\)\].*/\1/')" | cmp - of_plan
    check planned.csv --plan plan.json --model umlp
    [[ "$status" -eq 2 && "$stderr" == *"--model and --plan exclude each other"* ]]
    check planned.csv --plan nowhere.json
    [[ "$status" -eq 1 && "$stderr" == *"'nowhere.json'"* ]]
}

@test "check --json lists the boundaries, neighbours where none were given" {
    check four.csv --json
    [ "$("$JSON_GET" boundaries.# boundaries.2.0 boundaries.2.1 <<<"$output" | xargs)" = "3 2 3" ]
    check four.csv --json --boundaries 0-2,0-1,2-3,1-2
    [ "$("$JSON_GET" boundaries.# boundaries.1.0 boundaries.1.1 <<<"$output" | xargs)" = "4 0 2" ]
}

@test "auto makes its order for the boundaries it is given" {
    "$WEIR" schedule simulate auto 1f1b zb-h1 -p 4 -m 6 -v 1 --boundaries neighbours,0-3 --comm 0.3 --csv >rows
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "makespan") c = i } NR > 1 { t[$1] = $c }
             END { exit !(c && t["auto"] <= t["1f1b"] * 1.000001 && t["auto"] <= t["zb-h1"] * 1.000001) }' rows
    "$WEIR" schedule make auto -p 4 -m 6 --model umlp -o auto.csv 2>said
    check auto.csv --model umlp
    [ "$status" -eq 0 ]
    "$WEIR" schedule simulate auto -p 4 -m 6 --model umlp --json >o.json
    [ "$("$JSON_GET" makespan <o.json)" = "$("$JSON_GET" auto.value <o.json)" ]
    run --separate-stderr "$WEIR" schedule make auto -p 3 -m 6 --boundaries 0-2,1-2,0-1
    [ "$status" -eq 0 ]
    run --separate-stderr "$WEIR" schedule make auto -p 4 -m 6 --boundaries 0-1,0-2,1-3,2-3
    [[ "$status" -eq 1 && "$stderr" == *"stage 1 hands nothing to stage 2, and auto makes orders for stages that each hand to the next: use another schedule or cut"* ]]
    run --separate-stderr "$WEIR" schedule make 1f1b -p 4 -m 6 --model umlp
    [[ "$status" -eq 2 && "$stderr" == *"'1f1b' has the same order whatever stages hand to each other: --model, "*" are for auto"* ]]
}

@test "convert refuses cells that could not name a boundary, and takes the others" {
    cannot="cells cannot name what goes from stage 0 to stage 3"
    for form in comms torch; do
        run --separate-stderr "$WEIR" schedule convert four.csv --to $form --boundaries neighbours,0-3
        [[ "$status" -eq 1 && "$stderr" == *"$cannot"* ]]
        "$WEIR" schedule convert four.csv --to $form | cmp - <("$WEIR" schedule convert four.csv --to $form --boundaries neighbours)
    done
    for form in comms reductions trace; do
        run --separate-stderr "$WEIR" schedule convert comms.csv --to $form --boundaries neighbours,0-3
        [[ "$status" -eq 1 && "$stderr" == *"'comms.csv': SEND and RECV $cannot"* ]]
    done
    "$WEIR" schedule convert comms.csv --to compute --boundaries neighbours,0-3 | cmp - four.csv
    "$WEIR" schedule convert four.csv --to trace --boundaries neighbours,0-3 >long.json
    "$WEIR" schedule convert four.csv --to trace | { ! cmp -s - long.json; }
}
