# What the tests with several processes share.

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    "$WEIR" info | grep -q '^transport   mpi' || skip "this build has no MPI"
    command -v mpirun >/dev/null || skip "mpirun is not installed"
    for i in $(seq 400); do printf 'line %d of a small text: the quick brown fox jumps over the lazy dog\n' "$i"; done >text
    base=(train --model gpt2-tiny --data text --microbatches 4 --microbatch-size 2 --seq-len 16)
}

# ranks N HOSTS ARGUMENT..: as N processes; HOSTS pretends that they run on several, "" for one
ranks() {
    local n=$1 hosts=$2
    shift 2
    WEIR_TEST_HOSTS=$hosts MPI_TIMEOUT=100 bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" "$n" "$WEIR" "${base[@]}" "$@"
}

numbers() {
    grep -o '"loss": [^,]*, "grad_norm": [^,]*' "$1"
}

# same N HOSTS ARGUMENT..: losses and norms of 2 steps are those of one process, on one host and on HOSTS
same() {
    local n=$1 hosts=$2
    shift 2
    "$WEIR" "${base[@]}" --transport local --steps 2 -q --metrics local --force "$@" >/dev/null
    ranks "$n" "" --steps 2 -q --metrics one --force "$@"
    ranks "$n" "$hosts" --steps 2 -q --metrics several --force "$@"
    numbers local >local.numbers
    [ "$(wc -l <local.numbers)" -eq 2 ]
    numbers one | cmp local.numbers
    numbers several | cmp local.numbers
}

# reference ARGUMENT..: two steps of one stage in one process; their numbers are in reference.numbers
reference() {
    "$WEIR" "${base[@]}" --transport local --stages 1 --metrics reference --force -q "$@" >/dev/null
    numbers reference >reference.numbers
    [ "$(wc -l <reference.numbers)" -eq 2 ]
}

# launched N ARGUMENT..: as N processes of weir launch, with the numbers of the reference
launched() {
    local n=$1
    shift
    timeout --kill-after=5 100 "$WEIR" launch -n "$n" -- "${base[@]}" --metrics found --force -q "$@" >/dev/null
    numbers found | cmp reference.numbers
}

# over_mpi N HOSTS ARGUMENT..: as ranks does, with the numbers of the reference
over_mpi() {
    local n=$1 hosts=$2
    shift 2
    ranks "$n" "$hosts" --metrics found --force -q "$@" >/dev/null
    numbers found | cmp reference.numbers
}

# victim RANK SIGNAL: a script that runs its arguments and, as rank RANK, gets the signal after its fifth step
victim() {
    cat >victim <<END
#!/bin/bash
if [ "\$OMPI_COMM_WORLD_RANK" = $1 ]; then
    pid=\$\$
    ( until [ -e metrics ] && [ "\$(wc -l <metrics)" -ge 6 ]; do sleep 0.05; done; kill -$2 \$pid ) &
fi
exec "\$@"
END
    chmod +x victim
}

# reductions_write FILE: zbv for 2 ranks and 2 micro-batches; one rank has a REDUCE_GRAD early, the other late
reductions_write() {
    {
        echo 0F0,0F1,3F0,3I0,3W0,3F1,3I1,3W1,3REDUCE_GRAD,0I0,0W0,0I1,0W1,0REDUCE_GRAD
        echo 1F0,2F0,1F1,2F1,2I0,2W0,1I0,1W0,2I1,2W1,1I1,1W1,1REDUCE_GRAD,2REDUCE_GRAD
    } >"$1"
}
