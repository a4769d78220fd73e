#!/usr/bin/env bats
# bench/gpu/check.sh, which is for a machine with a GPU, rehearsed on stand-ins: its parts run in their order, what they found
# is there whenever it is cut, and it never says that a GPU did.   labels: slow

bats_require_minimum_version 1.5.0

setup() {
    [ -x "${WEIR_FAKE:-}" ] || skip "there is no command on stand-ins (WEIR_FAKE)"
    [ -z "${ASAN_OPTIONS:-}" ] || export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 # of mpirun's library; tested elsewhere
    export WEIR_GPU_WORK=$BATS_TEST_TMPDIR/work WEIR_GPU_SECONDS=2000
    out=$BATS_TEST_TMPDIR/out
    report=$out/report.md
}

# rehearse PART..
rehearse() {
    WEIR_GPU_PARTS="$*" run --separate-stderr bash "$WEIR_SOURCE_DIR/bench/gpu/check.sh" --rehearse --out "$out"
}

# went PART HOW: what the report says of it
went() {
    grep -q "^| $1 | $2 | [0-9]* s |$" "$report" || {
        cat "$report" "$out/logs.txt"
        return 1
    }
}

# rehearsed PART..: all go well, and the report is one of a rehearsal
rehearsed() {
    rehearse "$@"
    for part in "$@"; do went "$part" ok; done
    [ "$status" -eq 0 ]
    [[ $output == *"stand-in, no GPU: nothing of this was run on one"* ]]
    [ "$(head -n 1 "$report")" = "# Rehearsal of the checks: stand-in, no GPU" ]
    run ! grep -q '| yes |' "$report"
    small
}

# What comes back is small, and nothing else is there.
small() {
    [ "$(find "$out" -type f | wc -l)" -le 8 ]
    [ -z "$(find "$out" -mindepth 1 -type d)" ]
    [ -z "$(find "$out" -size +16000k)" ]
}

with_nccl() {
    "$WEIR_FAKE" info | grep -q '^transport   nccl' || skip "this build has no MPI"
    command -v mpirun >/dev/null || skip "mpirun is not installed"
}

with_python() {
    command -v python3 >/dev/null || skip "python3 is not installed"
}

@test "parts of one process" {
    rehearsed env exactness near_the_cpu bf16 tf32 generation trace memcheck synccheck
    grep -qF "| matrix products through cuBLASLt (\`cuda_lt.c\`, \`cuda_matmul.c\`), tf32 among them | no: rows not run |" "$report"
    grep -q '^worst   logits f32: ' "$report"
}

@test "parts that measure" {
    with_python
    rehearsed speed ncu products
    grep -q '^lm_head dw, 9 x 4 x 6, added: ' "$out/products.txt"
    grep -q '^weir, a small model on stand-ins: [1-9][0-9]* tokens/s ([0-9]* to [0-9]* over 4 steps), loss ' "$report"
    grep -q '^total .* 100.00 %' "$out/profile.txt"
    grep -q 'stand-in for ncu' "$out/ncu.txt"
}

@test "parts of several processes" {
    with_nccl
    rehearsed mpi nccl_2 nccl_replicas nccl_death nccl_memcheck
    grep -qF '| replicas and ZeRO-1 over NCCL | no: rehearsed |' "$report"
    grep -q 'ended with status 4' "$out/logs.txt"
}

@test "all rows that fail are shown, with the worst error of each operation" {
    WEIR_ROWS_SMALL=1 WEIR_FAKE_PRODUCTS=wrong rehearse rows
    [ "$status" -eq 1 ]
    went rows 'FAILED (1)'
    [ "$(grep -c '^FAILED  linear, ' "$report")" -gt 20 ]
    for what in 'attention f32' 'linear f32' 'attention_cached bf16' 'cross_entropy bf16'; do
        grep -q "^worst   $what: " "$report"
    done
}

@test "what goes wrong is told, and so is what is not there" {
    with_nccl
    WEIR_FAKE_NCCL=fail=3 rehearse nccl_2
    [ "$status" -eq 1 ]
    went nccl_2 'FAILED (1)'
    grep -q 'unhandled system error' "$out/logs.txt"
    WEIR_FAKE_GPUS=0 rehearse exactness nccl_2
    went exactness 'skipped: no CUDA device: .*'
    went nccl_2 'skipped: no CUDA device: .*'
    WEIR_GPU_SECONDS=0 rehearse trace
    [ "$status" -eq 1 ]
    went trace 'not run: no time was left .*'
    rehearse trase
    [ "$status" -eq 2 ]
    [[ $stderr == "check.sh: there is no part 'trase'" ]]
    run --separate-stderr bash "$WEIR_SOURCE_DIR/bench/gpu/check.sh" --rehearse --built
    [ "$status" -eq 2 ]
    [[ $stderr == "check.sh: --built needs a folder; usage: "* ]]
}

# The whole order, from its beginning.
@test "a rehearsal that is cut has its report" {
    setsid bash "$WEIR_SOURCE_DIR/bench/gpu/check.sh" --rehearse --out "$out" >/dev/null 2>&1 &
    rehearsal=$!
    for _ in $(seq 600); do
        ! grep -q '^| rows | running' "$report" 2>/dev/null || break
        sleep 0.1
    done
    sleep 1
    # all of its processes, at once and without a word, as a machine that is taken away
    ps -o pid= -s "$rehearsal" | xargs kill -KILL
    went env ok
    grep -q '^| rows | running since second [0-9]*: when this is the last word, the run was cut | |$' "$report"
    grep -q '^| rows in C that call them (`cuda_\*.c`) | no: rows not run |$' "$report"
    grep -q '^==== env: ok$' "$out/logs.txt"
    [ -s "$out/running.txt" ]
    small
}
