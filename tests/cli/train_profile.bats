#!/usr/bin/env bats
# weir train --profile: the whole time of the steps, cut into operations.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 80); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
}

train() {
    "$WEIR" train --model gpt2-tiny --data text --microbatches 2 --microbatch-size 2 --seq-len 8 --steps 2 -q "$@"
}

# calls FILE OP PASS: the number of calls in the JSON.
calls() {
    grep -o "\"op\": \"$2\", \"pass\": \"$3\", \"calls\": [0-9]*" "$1" | grep -o '[0-9]*$'
}

@test "the table ends with a total of 100 %" {
    run --separate-stderr train --profile
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [[ "${stderr_lines[0]}" == "2 steps took "*" on 2 ranks, "* ]]
    [[ "${stderr_lines[1]}" == "operation "*"pass "*"calls "*"share "*"GFLOP/s" ]]
    [[ "$stderr" == *$'\n'"total "*" 100.00 % "* ]]
    [[ "$stderr" == *"linear "*"backward_weight "* && "$stderr" == *"optimizer "*"update "* ]]
    [[ "$stderr" == *"hand-over "* && "$stderr" == *"waiting "*"fill "* && "$stderr" == *"waiting "*"drain "* ]]
    train >plain 2>&1
    [ ! -s plain ]
}

@test "the profile ends with what each rank waited for" {
    train --profile --stages 3 --microbatches 4 --steps 6 2>text.out
    sed -n '/^waiting of each rank/,$p' text.out >waits
    [ "$(wc -l <waits)" -eq 5 ]
    awk 'NR > 2 { for (i = 2; i <= 8; i++) if ($i < 0) exit 1 }
         NR == 3 && ($2 != 0 || $0 !~ /rank 1/) { exit 1 }       # the first rank has no fill, and waits for the second
         NR == 5 && ($2 <= 0 || $2 <= fill) { exit 1 }           # the last fills longest
         NR == 4 { fill = $2; if (fill <= 0) exit 1 }' waits
}

@test "the shares in the JSON add up to 1, none is negative" {
    for schedule in 1f1b zbv; do
        train --profile --json --schedule "$schedule" >"$schedule.json" 2>/dev/null
        grep -o '"share": [^,]*' "$schedule.json" | awk '{ sum += $2; low += $2 < 0 } END { exit !(sum > 1 - 1e-9 && sum < 1 + 1e-9 && !low && NR > 10) }'
    done
    [ "$(calls 1f1b.json cross_entropy forward)" -eq 4 ]
    [ "$(calls 1f1b.json linear forward)" -eq "$(calls 1f1b.json linear backward_weight)" ]
    [ "$(calls 1f1b.json optimizer update)" -eq 4 ]
}

@test "validation is not part of the profile" {
    train --profile --json --val-data text --val-every 1 --val-batches 3 >with.json 2>/dev/null
    [ "$(calls with.json cross_entropy forward)" -eq 4 ]
    [ "$(calls with.json attention forward)" -eq "$(calls with.json attention backward_input)" ]
    grep -o '"share": [^,]*' with.json | awk '{ sum += $2; low += $2 < 0 } END { exit !(sum > 1 - 1e-9 && sum < 1 + 1e-9 && !low) }'
}

@test "replicas are ranks of the whole, and buckets are one row" {
    train --profile --json --replicas 2 --bucket-bytes 64K >replicas.json 2>/dev/null
    grep -o '"share": [^,]*' replicas.json | awk '{ sum += $2; low += $2 < 0 } END { exit !(sum > 1 - 1e-9 && sum < 1 + 1e-9 && !low) }'
    [ "$(calls replicas.json cross_entropy forward)" -eq 8 ]
    [ "$(calls replicas.json optimizer update)" -eq 8 ]
    [ "$(calls replicas.json optimizer reduce)" -gt 8 ]
}
