#!/usr/bin/env bats
# weir train as processes with a GPU each, on stand-ins for CUDA and NCCL: the numbers are those of one process, in whatever
# order operations get done, and a failure ends all processes.   labels: slow

bats_require_minimum_version 1.5.0
load mpi_ranks

setup() {
    [ -x "${WEIR_FAKE:-}" ] || skip "there is no command on stand-ins (WEIR_FAKE)"
    cd "$BATS_TEST_TMPDIR" || exit 1
    "$WEIR_FAKE" info | grep -q '^transport   nccl' || skip "this build has no MPI"
    command -v mpirun >/dev/null || skip "mpirun is not installed"
    for i in $(seq 100); do printf 'line %d of a small text: the quick brown fox jumps over the lazy dog\n' "$i"; done >text
    base=(train --model gpt2-tiny --data text --microbatches 4 --microbatch-size 1 --seq-len 4 --dropout 0.1 --steps 2 -q)
}

# gpus N ARGUMENT..: as N processes
gpus() {
    local n=$1
    shift
    MPI_PASS="WEIR_FAKE_GPUS WEIR_FAKE_MODE WEIR_FAKE_SEED WEIR_FAKE_LOADING WEIR_FAKE_REPORT WEIR_FAKE_NCCL" MPI_TIMEOUT=100 \
        bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" "$n" "$WEIR_FAKE" "${base[@]}" --device cuda "$@"
}

# one ARGUMENT..: all ranks in one process, on one GPU; its numbers are in one.numbers
one() {
    "$WEIR_FAKE" "${base[@]}" --transport local --device cuda:0 --metrics one --force "$@" >/dev/null
    numbers one >one.numbers
    [ "$(wc -l <one.numbers)" -eq 2 ]
}

# same N ARGUMENT..: N processes have the numbers of one
same() {
    local n=$1
    shift
    rm -f several
    gpus "$n" --metrics several --force "$@"
    numbers several | cmp one.numbers
}

@test "pipelines of processes have the bits of one stage" {
    export WEIR_FAKE_GPUS=4
    one --stages 1
    same 1 --stages 1 --transport nccl
    same 2 --stages 2
    same 3 --stages 3 --schedule zb-h1
    WEIR_FAKE_NCCL=serial same 4 --stages 4 --schedule 1f1b
    WEIR_FAKE_NCCL=serial,random same 2 --stages 4 --chunks 2 --schedule interleaved
    WEIR_FAKE_MODE=lazy same 2 --stages 4 --schedule zbv
    WEIR_FAKE_LOADING=waits same 2 --stages 2
}

@test "replicas of processes are reproducible, and two have the bits of one process" {
    export WEIR_FAKE_GPUS=4
    one --stages 2 --replicas 2 --microbatches 2
    WEIR_FAKE_NCCL=serial same 4 --stages 2 --replicas 2 --microbatches 2
    WEIR_FAKE_NCCL=random same 4 --stages 2 --replicas 2 --microbatches 2 --zero 1 --placement spread
    reductions_write s.csv
    one --schedule ./s.csv --replicas 2 --microbatches 2
    WEIR_FAKE_NCCL=serial same 4 --schedule ./s.csv --replicas 2 --microbatches 2
}

@test "in bf16 every process rounds the parameters that it fetched" {
    export WEIR_FAKE_GPUS=4
    one --stages 2 --replicas 2 --microbatches 2 --dtype bf16
    WEIR_FAKE_NCCL=random same 4 --stages 2 --replicas 2 --microbatches 2 --zero 1 --dtype bf16 # the tied table is on all
}

@test "evaluation, import and export are those of one process" {
    export WEIR_FAKE_GPUS=2
    "$WEIR_FAKE" "${base[@]}" --transport local --device cuda:0 --stages 2 --json --val-data text --val-every 1 --export a >a.json
    gpus 2 --stages 2 --json --val-data text --val-every 1 --export b >b.json
    cmp a.json b.json
    cmp a/model.safetensors b/model.safetensors
    "$WEIR_FAKE" "${base[@]}" --transport local --device cuda:0 --stages 2 --steps 1 --json --init-from a >c.json
    gpus 2 --stages 2 --steps 1 --json --init-from a >d.json
    cmp c.json d.json
}

@test "what a process allocates on its GPU is what it says it needs" {
    export WEIR_FAKE_GPUS=4 WEIR_FAKE_REPORT=$BATS_TEST_TMPDIR/allocated
    for layout in "3 --stages 3 --dtype bf16" "4 --stages 2 --replicas 2 --zero 1 --microbatches 2"; do
        rm -f allocated several
        # shellcheck disable=SC2086 # a layout is several words
        gpus $layout --steps 1 --metrics several --force
        grep -o '"peak_bytes": [^]]*' several | grep -o '[0-9]\+' | sort >said
        # what NCCL takes is measured as free memory, which the stand-in counts in pages: less than one too many
        cut -d ' ' -f 2 allocated | sort | paste said - |
            awk '{ n++; if ($1 < $2 || $1 - $2 >= 4096) bad = 1 } END { exit bad || !n }'
    done
}

@test "one process prints a trace of all GPUs" {
    gpus 3 --stages 3 --trace t --metrics m
    [ "$(grep -c '"step"' m)" -eq 2 ]
    for r in 0 1 2; do grep -q "\"rank $r\"" t; done
    ! grep -q '"dur": *-' t
}

@test "device and transport must belong together" {
    run --separate-stderr "$WEIR_FAKE" "${base[@]}" --stages 2 --device cuda --transport mpi
    [ "$status" -eq 2 ]
    [[ $stderr == *"transport 'mpi' moves memory of the host, device 'cuda' has other memory: use --transport nccl"* ]]
    run --separate-stderr "$WEIR_FAKE" "${base[@]}" --stages 2 --device cpu --transport nccl
    [ "$status" -eq 2 ]
    [[ $stderr == *"transport 'nccl' moves memory of GPUs, device 'cpu' has other memory: use --transport mpi"* ]]
    WEIR_FAKE_GPUS=2 run --separate-stderr gpus 3 --stages 3
    [ "$status" -eq 2 ]
    [[ $stderr == *"there is no device 'cuda:2', this machine has 2"* ]]
    WEIR_FAKE_GPUS=1 run --separate-stderr gpus 2 --stages 2
    [ "$status" -ne 0 ] && [ "$status" -ne 5 ]
    [[ $stderr == *"connecting rank 0 to rank 1: ncclCommInitRankConfig: "*"are on one GPU"* ]]
    NCCL_HOSTID=same run --separate-stderr gpus 2 --stages 2 --device cuda:0
    [ "$status" -ne 0 ] && [ "$status" -ne 5 ]
    [[ $stderr == *"connecting rank 0 to rank 1: ncclCommInitRankConfig: "* ]]
}

@test "a launcher may show each process its own GPU" {
    export WEIR_FAKE_GPUS=4
    one --stages 3
    cat >shown <<'END'
#!/bin/bash
export CUDA_VISIBLE_DEVICES=$((OMPI_COMM_WORLD_RANK + 1))
exec "$@"
END
    chmod +x shown
    bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 3 ./shown "$WEIR_FAKE" "${base[@]}" --device cuda --stages 3 --metrics several --force
    numbers several | cmp one.numbers
}

@test "a process to which a peer never connects names the edge, after ten times the timeout" {
    cat >silent <<'END'
#!/bin/bash
[ "$OMPI_COMM_WORLD_RANK" = 1 ] && export WEIR_FAKE_NCCL=silent=0
exec "$@"
END
    chmod +x silent
    run --separate-stderr bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 2 ./silent "$WEIR_FAKE" "${base[@]}" --device cuda --stages 2 --timeout 2
    [ "$status" -eq 5 ]
    grep -qE "^weir train: connecting rank [01] to rank [01]: nothing came in 20.0 s" <<<"$stderr"
    [ "$(grep -c "^weir train: " <<<"$stderr")" -eq 1 ]
}

@test "streams of NCCL have queues too, and what CUDA reads is set before MPI starts it" {
    rm -f started
    WEIR_FAKE_MPI_START=$PWD/started gpus 2 --stages 2 --steps 1
    [ "$(sort -u started)" = CUDA_DEVICE_MAX_CONNECTIONS=32 ]
    # one stream for kernels; two edges and the sum over all, with two streams of the library for each of the three
    CUDA_DEVICE_MAX_CONNECTIONS=10 gpus 2 --stages 2 --steps 1
    CUDA_DEVICE_MAX_CONNECTIONS=9 run --separate-stderr gpus 2 --stages 2 --steps 1
    [ "$status" -eq 1 ]
    [[ $stderr == *"device 'cuda:"*"' has 9 queues and all have a stream"* ]]
}

@test "a call of NCCL that fails ends all processes" {
    for k in 0 9 32; do
        cat >failing <<END
#!/bin/bash
[ "\$OMPI_COMM_WORLD_RANK" = 1 ] && export WEIR_FAKE_NCCL=fail=$k
exec "\$@"
END
        chmod +x failing
        run --separate-stderr bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 2 ./failing "$WEIR_FAKE" "${base[@]}" --device cuda --stages 2
        [ "$status" -eq 1 ]
        [[ $stderr == *": unhandled system error"* ]]
    done
}

@test "an operation that never ends and reports an error ends all processes" {
    WEIR_FAKE_NCCL=async=12,abort-syncs run --separate-stderr gpus 3 --stages 3
    [ "$status" -eq 1 ] || [ "$status" -eq 4 ]
    [[ $stderr == *": unhandled system error: the operation that mode \`async\` names has failed"* ]]
}

@test "a killed process ends the others, even if NCCL does not let go" {
    victim 1 KILL
    for mode in "" abort-hangs; do
        rm -f metrics
        export WEIR_FAKE_NCCL=$mode
        MPI_PASS=WEIR_FAKE_NCCL MPI_TIMEOUT=60 run --separate-stderr bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 3 ./victim \
            "$WEIR_FAKE" "${base[@]}" --device cuda --stages 3 --steps 1000000 --metrics metrics
        [ "$status" -ne 0 ] && [ "$status" -ne 5 ]
        [[ $stderr == *"the process of rank 1 has died"* || $stderr == *"signal 9"* ]]
    done
}
