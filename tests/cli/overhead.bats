#!/usr/bin/env bats
# What the executor adds to a kernel call, in instructions: a number that no load on the machine changes.   labels: slow
bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    command -v callgrind_annotate >/dev/null || skip "valgrind is missing"
    grep -qx 'CMAKE_BUILD_TYPE:[A-Z]*=Release' "$WEIR_BINARY_DIR/CMakeCache.txt" || skip "counts are those of a release build"
    ! grep -q "^CMAKE_C_COMPILER:.*clang" "$WEIR_BINARY_DIR/CMakeCache.txt" || skip "counts are those of gcc, which names what it calls"
}

# executor STEPS: instructions of a run in which a call is bound to its addresses, timed and looked after.
executor() {
    valgrind -q --tool=callgrind --callgrind-out-file="$1.out" "${small[@]}" --quiet --steps "$1" >&2
    callgrind_annotate --threshold=100 "$1.out" | awk -v names="$names" '
        BEGIN { n = split(names, list, " "); for (i = 1; i <= n; i++) wanted[list[i]] = 1 }
        { gsub(",", "", $1); name = $0; sub(/ \[.*/, "", name); sub(/.*:/, "", name); sub(/\..*/, "", name) }
        name in wanted { sum += $1; seen++ }
        END { if (seen < 5) exit 1; printf "%d\n", sum }'
}

@test "the executor adds fewer than 900 instructions to a kernel call" {
    head -c 4000 /dev/zero | tr '\0' x >text
    small=("$WEIR" train --model gpt2-tiny --data text --stages 1 --microbatches 2 --microbatch-size 1 --seq-len 2)
    names="where_address weir_call_bind kernel_run weir_clock_ns weir_link_progress weir_call_begin weir_call_end weir_error_clear"
    calls=$("${small[@]}" --print-program | awk '/calls/ { for (i = 1; i < NF; i++) if ($i == "calls") sum += $(i + 1) } END { print sum }')
    [ "$calls" -gt 200 ]
    one=$(executor 1) three=$(executor 3)
    echo "$(((three - one) / 2 / calls)) instructions for each of $calls calls"
    [ $(((three - one) / 2 / calls)) -gt 100 ]
    [ $(((three - one) / 2 / calls)) -lt 900 ]
}
