#!/usr/bin/env bats
# What the executor adds to a kernel call, in instructions: a number that no load on the machine changes.   labels: slow
bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    command -v callgrind_annotate >/dev/null || skip "valgrind is missing"
    grep -qx 'CMAKE_BUILD_TYPE:[A-Z]*=Release' "$WEIR_BINARY_DIR/CMakeCache.txt" || skip "counts are those of a release build"
    ! grep -q "^CMAKE_C_COMPILER:.*clang" "$WEIR_BINARY_DIR/CMakeCache.txt" || skip "counts are those of gcc, which names what it calls"
}

# executor STEPS: instructions of a run in which a call gets its addresses, is timed and looked after.
executor() {
    valgrind -q --tool=callgrind --callgrind-out-file="$1.out" "${small[@]}" --quiet --steps "$1" >&2
    callgrind_annotate --threshold=100 "$1.out" | awk -v names="$names" '
        BEGIN { n = split(names, list, " "); for (i = 1; i <= n; i++) wanted[list[i]] = 1 }
        { gsub(",", "", $1); name = $0; sub(/ \[.*/, "", name); sub(/.*:/, "", name); sub(/\..*/, "", name) }
        name in wanted { sum += $1; seen++ }
        END { if (seen < 4) exit 1; printf "%d\n", sum }'
}

# looked_after FILE SECONDS STEPS: instructions of a run's instructions (engine/run/exec.c), and of the thread that looks
looked_after() {
    valgrind -q --tool=callgrind --callgrind-out-file="$1" --toggle-collect=weir_exec_run --toggle-collect=pulse_run \
        "$WEIR" train --model gpt2-tiny --data text --stages 1 --microbatches 2 \
        --microbatch-size 1 --seq-len 2 --quiet --timeout "$2" --steps "$3" >&2
    sed -n 's/^\(summary\|totals\): \([0-9]*\).*/\2/p' "$1" | tail -n 1
}

# It looks five times a second, and a step takes much longer here than it does: what its looks cost is no less than that.  How often
# threads wait differs from run to run by about as much, so the one may have fewer than the other.
@test "looking for life adds less than half a percent to the instructions of a step" {
    head -c 4000 /dev/zero | tr '\0' x >text
    with=$(($(looked_after a 60 3) - $(looked_after b 60 1)))
    without=$(($(looked_after c 0 3) - $(looked_after d 0 1)))
    echo "two steps: $without instructions, with looking $with"
    [ "$without" -gt 10000000 ]
    [ $(((with - without) * 1000)) -lt $((without * 5)) ]
}

@test "the executor adds fewer than 250 instructions to a kernel call" {
    head -c 4000 /dev/zero | tr '\0' x >text
    small=("$WEIR" train --model gpt2-tiny --data text --stages 1 --microbatches 2 --microbatch-size 1 --seq-len 2)
    names="weir_binding_turn copy_run kernel_run weir_clock_ns weir_link_progress weir_call_begin weir_call_end weir_error_clear"
    calls=$("${small[@]}" --print-program | awk '/calls/ { for (i = 1; i < NF; i++) if ($i == "calls") sum += $(i + 1) } END { print sum }')
    [ "$calls" -gt 200 ]
    one=$(executor 1) three=$(executor 3)
    echo "$(((three - one) / 2 / calls)) instructions for each of $calls calls"
    [ $(((three - one) / 2 / calls)) -gt 50 ]
    [ $(((three - one) / 2 / calls)) -lt 250 ]
}
