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
