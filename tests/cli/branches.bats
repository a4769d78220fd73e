#!/usr/bin/env bats
# weir train on a model with skip connections as several processes: the numbers are those of one stage.   labels: slow

bats_require_minimum_version 1.5.0
load mpi_ranks

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    "$WEIR" info | grep -q '^transport   mpi' || skip "this build has no MPI"
    command -v mpirun >/dev/null || skip "mpirun is not installed"
    mkdir images
    { printf '\0\0\10\3\0\0\0\100\0\0\0\2\0\0\0\2' && for i in $(seq 256); do printf "\\x$(printf %x $((i * 37 % 256)))"; done; } >images/train-images-idx3-ubyte
    { printf '\0\0\10\1\0\0\0\100' && for i in $(seq 64); do printf "\\x$((i % 4))"; done; } >images/train-labels-idx1-ubyte
    base=(train --model umlp --data images --microbatches 4 --microbatch-size 2 --dropout 0.1 --threads-per-rank 1)
}

# reference WEIR ARGUMENT..: what the others are compared with, of one process of that command
reference() {
    "$1" "${base[@]}" --transport local --steps 2 -q --metrics local --force "${@:2}" >/dev/null
    numbers local >local.numbers
    [ "$(wc -l <local.numbers)" -eq 2 ]
}

# like N HOSTS ARGUMENT..: as N processes, whose hosts are pretended; the numbers of `reference`
like() {
    ranks "$1" "$2" --steps 2 -q --metrics several --force "${@:3}"
    numbers several | cmp local.numbers
}

@test "a value that passes by a stage, or by a host, gives the losses of one stage" {
    reference "$WEIR" --stages 1
    like 2 "" --stages 8 --chunks 4 --schedule interleaved
    like 4 "" --stages 4
    like 4 0,1,0,1 --stages 4 --schedule zb-h1
    like 2 0,1 --stages 4 --schedule zbv --recompute full
    like 4 0,0,1,1 --stages 4 --schedule gpipe
}

@test "replicas of a model with skips give the losses of replicas of one stage" {
    reference "$WEIR" --stages 1 --replicas 2 --microbatches 2
    like 4 0,1,0,1 --stages 2 --replicas 2 --microbatches 2
    like 4 "" --stages 2 --replicas 2 --microbatches 2 --zero 1
}

@test "skips that are concatenated give the losses of one stage, by shared memory and by messages" {
    base[2]=umlp-concat
    reference "$WEIR" --stages 1
    like 4 "" --stages 8 --chunks 2 --schedule interleaved
    like 4 0,1,0,1 --stages 4 --schedule zb-h1 --recompute full
    reference "$WEIR" --stages 1 --replicas 2 --microbatches 2
    like 4 0,0,1,1 --stages 2 --replicas 2 --microbatches 2 --zero 1
}

# gpus N ARGUMENT..: as N processes with a GPU each, on the stand-ins
gpus() {
    MPI_PASS="WEIR_FAKE_GPUS WEIR_FAKE_MODE WEIR_FAKE_SEED WEIR_FAKE_NCCL" MPI_TIMEOUT=100 \
        bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" "$1" "$WEIR_FAKE" "${base[@]}" --device cuda --steps 2 -q --metrics several --force "${@:2}"
    numbers several | cmp local.numbers
}

@test "over NCCL too" {
    [ -x "${WEIR_FAKE:-}" ] || skip "there is no command on stand-ins (WEIR_FAKE)"
    export WEIR_FAKE_GPUS=4
    reference "$WEIR_FAKE" --device cuda:0 --stages 1
    gpus 4 --stages 4
    WEIR_FAKE_NCCL=serial gpus 2 --stages 4 --schedule zbv
    WEIR_FAKE_NCCL=random gpus 4 --stages 8 --chunks 2 --schedule interleaved
    WEIR_FAKE_MODE=lazy gpus 3 --stages 3 --schedule zb-h1
    base[2]=umlp-concat
    reference "$WEIR_FAKE" --device cuda:0 --stages 1
    WEIR_FAKE_NCCL=random gpus 4 --stages 8 --chunks 2 --schedule interleaved
}
