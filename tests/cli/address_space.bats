#!/usr/bin/env bats
# weir train where the process may map little.   labels: slow

@test "a run in too little address space says so and does not crash" {
    run bash "$WEIR_SOURCE_DIR/tests/soak/address_space.sh" 24
    [ "$status" -ne 77 ] || skip "${output#skipped: }"
    echo "$output"
    [ "$status" -eq 0 ]
}

# size LIMIT: KiB of addresses that a run of two ranks has while it trains
size() {
    rm -f metrics
    (
        ulimit -v "$1"
        exec "$WEIR" train --model gpt2-tiny --data text --seq-len 16 --stages 2 --microbatches 2 --steps 1000000 -q --metrics metrics
    ) >errors 2>&1 &
    run_id=$!
    for _ in $(seq 600); do grep -q '"step"' metrics 2>/dev/null && break || sleep 0.05; done
    sed -n 's/^VmSize:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$run_id/status"
    kill -KILL "$run_id"
    wait "$run_id" || true
}

@test "where addresses are limited the threads of a run share one heap" {
    cd "$BATS_TEST_TMPDIR"
    head -c 4000 /dev/zero | tr '\0' x >text
    (ulimit -v 4000000 && "$WEIR" --version) || skip "the command alone needs more than 4 GB of addresses"
    limited=$(size 4000000) free=$(size unlimited)
    echo "limited: $limited KiB, free: $free KiB: $(cat errors)"
    [ "$limited" -gt 0 ]
    [ $((free - limited)) -gt 65536 ] # each of two threads has 64 MiB for itself
}
