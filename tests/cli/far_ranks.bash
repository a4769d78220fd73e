# Processes on other hosts, which are network namespaces of this one.

# Run a script of tests/ into $output and $status; the test is skipped with the script's reason when it is.  What the
# processes say is looked for in files: mpirun may warn into the same stream, of a setpgid that came too late for one.
try() {
    run "$WEIR_SOURCE_DIR/tests/support/$1" "${@:2}"
    [ "$status" -ne 77 ] || skip "${output#skipped: }"
}

# A text of its own, so that processes of this test are known by it.
far_begin() {
    "$WEIR" info | grep -q '^transport   mpi' || skip "this build has no MPI transport"
    cd "$BATS_TEST_TMPDIR" || exit 1
    cat "$WEIR_SOURCE_DIR"/docs/*.md >text
    base=(train --model gpt2-tiny --data "$PWD/text" --microbatches 2 --microbatch-size 2 --seq-len 16)
}

# rank R: the number of its process
rank() {
    local pid
    for pid in $(pgrep -f "^([^ ]*/)?weir train .*$BATS_TEST_TMPDIR/text"); do
        ! tr '\0' '\n' <"/proc/$pid/environ" | grep -qx "OMPI_COMM_WORLD_RANK=$1" || echo "$pid"
    done | tail -n 1
}

# begun N: the run in the background has taken N steps
begun() {
    for _ in $(seq 1200); do
        kill -0 "$run" || { cat errors; return 1; }
        [ -e metrics ] && [ "$(grep -c '"step"' metrics)" -ge "$1" ] && return
        sleep 0.05
    done
    false
}
