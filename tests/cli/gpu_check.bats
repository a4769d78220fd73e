#!/usr/bin/env bats
# bench/gpu/check.sh, which is for a machine with a GPU, rehearsed on stand-ins: its parts run, and it never says that a GPU
# did.   labels: slow

bats_require_minimum_version 1.5.0

setup() {
    [ -x "${WEIR_FAKE:-}" ] || skip "there is no command on stand-ins (WEIR_FAKE)"
    [ -z "${ASAN_OPTIONS:-}" ] || export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 # of mpirun's library; tested elsewhere
    export WEIR_GPU_OUT=$BATS_TEST_TMPDIR WEIR_GPU_SECONDS=2000
    report=$BATS_TEST_TMPDIR/report.md
}

# rehearse PART..
rehearse() {
    WEIR_GPU_PARTS="$*" run --separate-stderr bash "$WEIR_SOURCE_DIR/bench/gpu/check.sh" --rehearse
}

# went PART HOW: what the report says of it
went() {
    grep -q "^| $1 | $2 | [0-9]* s |$" "$report" || {
        cat "$report" "$BATS_TEST_TMPDIR/$1.log"
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
}

with_nccl() {
    "$WEIR_FAKE" info | grep -q '^transport   nccl' || skip "this build has no MPI"
    command -v mpirun >/dev/null || skip "mpirun is not installed"
}

@test "parts of one process" {
    rehearsed exactness near_the_cpu bf16 tf32 generation profile trace memcheck synccheck
    grep -qF "| matrix products through cuBLASLt (\`cuda_matmul_lt.c\`), tf32 among them | no: rows not run |" "$report"
}

@test "parts of several processes" {
    with_nccl
    rehearsed mpi nccl_2 nccl_replicas nccl_death nccl_memcheck
    grep -qF '| replicas and ZeRO-1 over NCCL | no: rehearsed |' "$report"
    grep -q 'ended with status 4' "$BATS_TEST_TMPDIR/nccl_death.log"
}

@test "what goes wrong is told, and so is what is not there" {
    with_nccl
    WEIR_FAKE_NCCL=fail=3 rehearse nccl_2
    [ "$status" -eq 1 ]
    went nccl_2 'FAILED (1)'
    grep -q 'unhandled system error' "$BATS_TEST_TMPDIR/nccl_2.log"
    WEIR_FAKE_GPUS=0 rehearse exactness nccl_2
    went exactness 'skipped: no CUDA device: .*'
    went nccl_2 'skipped: no CUDA device: .*'
    WEIR_GPU_SECONDS=0 rehearse trace
    [ "$status" -eq 1 ]
    went trace 'FAILED: no time was left .*'
    rehearse trase
    [ "$status" -eq 2 ]
    [[ $stderr == "check.sh: there is no part 'trase'" ]]
}
