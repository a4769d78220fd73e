#!/usr/bin/env bats
# weir train with nothing but a model and data.   labels: slow

@test "with only a model and data the defaults lose a nat in 40 steps of 4 micro-batches" {
    cd "$BATS_TEST_TMPDIR" || exit 1
    cat "$WEIR_SOURCE_DIR"/docs/*.md "$WEIR_SOURCE_DIR"/LICENSE >docs
    run "$WEIR" train --model gpt2-tiny --data docs --steps 40 -q --json
    [ "$status" -eq 0 ]
    echo "$output" | awk -F'[:,}]' '{ exit !($10 - $12 > 1) }'
}
