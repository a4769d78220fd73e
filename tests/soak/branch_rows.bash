# The transports of random_branches.sh and every_branch.sh.  What this machine lacks is left out and named.

# row NAME COMMAND..: COMMAND with the first and the last case, $chunk at a time; a failed one says which
row() {
    local name=$1 start=$SECONDS first end
    [ -z "$only" ] || [ "$only" = "$name" ] || return 0
    shift
    rows=$((rows + 1))
    for ((first = from; first <= last; first += chunk)); do
        end=$((first + chunk - 1 < last ? first + chunk - 1 : last))
        if ! "$@" "$first" "$end" >"$log" 2>&1; then
            failed=$((failed + 1))
            cat "$log"
            echo "$name: $first to $end failed"
            return
        fi
        sed -n 's/^\([0-9]*\) cases ran$/\1/p' "$log" | head -n 1 >>"$log.cases" # of several processes each says so
    done
    echo "$name: $(row_cases) had the bits of one stage; $((SECONDS - start)) s"
    rm -f "$log.cases"
}

# those that ran, where not all do
row_cases() {
    if [ -s "$log.cases" ]; then
        awk '{ n += $1 } END { print n " cases" }' "$log.cases"
    else
        echo "$((last - from + 1)) graphs and schedules"
    fi
}

processes() { # HOSTS PROGRAM TRANSPORT DEVICE RANKS FIRST LAST
    local hosts=$1 ranks=$5
    shift
    WEIR_TEST_HOSTS=$hosts MPI_TIMEOUT=3600 MPI_PASS="WEIR_FAKE_GPUS WEIR_FAKE_MODE WEIR_FAKE_SEED WEIR_FAKE_NCCL" \
        bash tests/support/mpi.sh "$ranks" "$@"
}

# rows_run BUILD PROGRAM: cases $from to $last over every transport; 0: all that could run are fine
rows_run() {
    local program=$1/tests/$2 fake=$1/tests/stand_ins/fake_nccl/$2_fake
    rows=0 failed=0 log=$(mktemp)
    trap 'rm -f "$log" "$log.cases"' EXIT
    row "local" "$program" local cpu 4
    if command -v mpirun >/dev/null && "$1/bin/weir" info | grep -q '^transport   mpi'; then
        row "mpi, one host" processes "" "$program" mpi cpu 4
        row "mpi, hosts 0 1 0 1" processes 0,1,0,1 "$program" mpi cpu 4
    else
        echo "mpi: left out, this build has none or mpirun is not installed"
    fi
    if [ -x "$fake" ]; then
        export WEIR_FAKE_GPUS=4
        WEIR_FAKE_MODE=lazy row "CUDA's stand-in, late" "$fake" local cuda 4
        WEIR_FAKE_MODE=random row "CUDA's stand-in, in any order" "$fake" local cuda 4
        WEIR_FAKE_NCCL=serial row "NCCL's stand-in, one after the other" processes "" "$fake" nccl cuda 4
        WEIR_FAKE_NCCL=random row "NCCL's stand-in, in any order" processes "" "$fake" nccl cuda 4
    else
        echo "stand-ins: left out, there is no C++ compiler or no MPI"
    fi
    [ $failed -eq 0 ] && [ $rows -gt 0 ]
}
