#!/usr/bin/env bats
# Under mpirun every process sees that one is lost, and one of a host says so.   labels: slow

bats_require_minimum_version 1.5.0
load mpi_ranks

# lost N HOSTS RANK SIGNAL ARGUMENT..: N processes of which one gets the signal; what they say is in the file `said`
lost() {
    local n=$1 hosts=$2 rank=$3 signal=$4
    shift 4
    rm -f metrics
    victim "$rank" "$signal"
    status=0
    WEIR_TEST_HOSTS=$hosts MPI_TIMEOUT=100 bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" "$n" ./victim "$WEIR" "${base[@]}" \
        --steps 1000000 -q --metrics metrics --timeout 2 "$@" >out 2>errors || status=$?
    [ "$status" -ne 0 ]
    grep "^weir train: " errors | grep -v "weir explain" >said || true
    cat said
}

@test "a process that is stopped is told of by one of the others" {
    lost 4 "" 2 STOP --stages 4
    [ "$(wc -l <said)" -eq 1 ]
    grep -q "rank 2 (process [0-9]* on .*) has given no sign of life for [0-9.]* s" said
}

@test "of a first process that is stopped another one tells" {
    lost 3 "" 0 STOP --stages 3
    [ "$(wc -l <said)" -eq 1 ]
    grep -q "rank 0 (process [0-9]* on .*) has given no sign of life for [0-9.]* s" said
}

@test "over several hosts one of each tells at most" {
    lost 4 0,0,1,1 1 STOP --stages 4
    [ "$(wc -l <said)" -ge 1 ]
    [ "$(wc -l <said)" -le 2 ]
    grep -q "rank 1 (process [0-9]* on .*) has given no sign of life for [0-9.]* s" said
}

@test "of a process that dies at most one of the others tells, and the record is written" {
    lost 4 "" 1 KILL --stages 4
    [ "$(wc -l <said)" -le 1 ]
    grep -q "rank 1" errors # mpirun says it too
    ls weir-flight.json
}

# early RANK: three processes of which one is stopped before MPI is up, so that nobody can hear of the others; one tells.  It takes
# --timeout and at least 5 s, and not ten times as long, which the opening of an engine has
early() {
    cat >early <<END
#!/bin/bash
[ "\$OMPI_COMM_WORLD_RANK" = $1 ] && kill -STOP \$\$
exec "\$@"
END
    chmod +x early
    status=0
    MPI_TIMEOUT=100 bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 3 ./early "$WEIR" "${base[@]}" --stages 3 --steps 2 -q --timeout 2 \
        >out 2>errors || status=$?
    echo "rank $1 stopped: status $status: $(cat errors)"
    [ "$status" -eq 5 ]
    said=$(grep -c "^weir train: MPI_Init_thread has not returned for 5.0 s: it waits for all processes that the launcher started" errors)
    [ "$said" -eq 1 ]
}

@test "a process that lacks its data ends a run whose others have theirs" {
    cat >lacking <<END
#!/bin/bash
[ "\$OMPI_COMM_WORLD_RANK" != 1 ] || cd /
exec "\$@"
END
    chmod +x lacking
    status=0
    MPI_TIMEOUT=100 bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 3 ./lacking "$WEIR" "${base[@]}" --stages 3 --steps 2 -q >out 2>errors || status=$?
    cat errors
    [ "$status" -eq 1 ]
    [ "$(grep -c "^weir train: cannot open 'text'" errors)" -eq 1 ]
}

@test "of a process that is stopped before MPI is up one of the others tells, whichever is stopped" {
    early 0
    early 2
}
