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
    run "$WEIR" train --model gpt2-tiny --stages 2 --print-memory
    [ "$(grep -c '^[01] scratch ' <<<"$output")" -eq 2 ]
    [ "$(grep -c '^rank [01]: params [0-9]*, ' <<<"$output")" -eq 2 ]
}
