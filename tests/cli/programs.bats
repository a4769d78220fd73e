#!/usr/bin/env bats
# Step programs and memory tables of small configurations, against tests/golden.
#
# WEIR_GOLDEN_REWRITE=1 in the environment writes the files anew; read the difference before you commit it.

golden=$WEIR_SOURCE_DIR/tests/golden

@test "programs and memory tables are those that were committed" {
    for name in $("$golden/programs.sh" goldens); do
        "$golden/programs.sh" golden "$WEIR" "$name" >"$BATS_TEST_TMPDIR/$name"
        [ -z "$WEIR_GOLDEN_REWRITE" ] || cp "$BATS_TEST_TMPDIR/$name" "$golden/program-$name.txt"
        diff -u "$golden/program-$name.txt" "$BATS_TEST_TMPDIR/$name"
    done
}

@test "the table has the rows that the text leaves out" {
    run "$WEIR" train --model gpt2-tiny --stages 2 --print-memory full
    [ "$(grep -c '^[01] scratch ' <<<"$output")" -eq 2 ]
    [ "$(grep -c '^rank [01]: params [0-9]*, ' <<<"$output")" -eq 2 ]
}

# names PROGRAM: the instructions of rank 0, in order.
names() {
    sed -n 's/^0 *[0-9]*  \(.*[^ ]\)  *calls .*/\1/p' "$1" | sed 's/ (.*//' | uniq | tr '\n' ' '
}

@test "gradients are reduced where the schedule has REDUCE_GRAD, else after the rank's next action" {
    cd "$BATS_TEST_TMPDIR"
    list=0F0,1F0,1B0,0F1,1F1,1B1
    for end in 0B0,0B1 1REDUCE_GRAD,0B0,0B1 0B0,0B1,1REDUCE_GRAD 0B0,0B1,0REDUCE_GRAD,1REDUCE_GRAD; do
        echo "$list,$end" >s.csv
        "$WEIR" train --model llama-tiny --schedule ./s.csv --replicas 2 --bucket-bytes 1G --print-program >"$end"
    done
    before="0F0 1F0 1B0 0F1 1F1 1B1"
    after="gather 0 gather 1 gradient norm update "
    [ "$(names 0B0,0B1)" = "$before 0B0 reduce 0 0B1 reduce 1 $after" ]
    [ "$(names 1REDUCE_GRAD,0B0,0B1)" = "$before reduce 0 0B0 0B1 reduce 1 $after" ]
    [ "$(names 0B0,0B1,1REDUCE_GRAD)" = "$before 0B0 0B1 reduce 0 reduce 1 $after" ]
    [ "$(names 0B0,0B1,0REDUCE_GRAD,1REDUCE_GRAD)" = "$before 0B0 0B1 reduce 1 reduce 0 $after" ]
    echo "0F0,1F0,1B0,0F1,1F1,0B0,1REDUCE_GRAD,1B1,0B1" >s.csv
    run "$WEIR" train --model llama-tiny --schedule ./s.csv --replicas 2 --print-program
    [ "$status" -ne 0 ]
    [[ "$output" == *"'./s.csv': row 1, cell 8: 1B1 comes after the REDUCE_GRAD of its stage, which must have all gradients"* ]]
}
