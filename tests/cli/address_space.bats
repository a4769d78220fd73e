#!/usr/bin/env bats
# weir train where the process may map little.   labels: slow

@test "a run in too little address space says so and does not crash" {
    run bash "$WEIR_SOURCE_DIR/tests/soak/address_space.sh" 24
    [ "$status" -ne 77 ] || skip "${output#skipped: }"
    echo "$output"
    [ "$status" -eq 0 ]
}
