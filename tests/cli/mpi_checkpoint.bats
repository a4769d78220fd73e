#!/usr/bin/env bats
# Checkpoints of several processes: one folder, any layout.   labels: slow

bats_require_minimum_version 1.5.0
load mpi_ranks

whole() {
    "$WEIR" "${base[@]}" --transport local -q --export whole "$@"
}

@test "processes and threads go on from each other's checkpoints, with the bits of the whole run" {
    whole --steps 6 --stages 2 --replicas 2
    ranks 4 0,0,1,1 --steps 3 --stages 2 --replicas 2 --zero 1 -q --checkpoint-dir D --checkpoint-every 1 --keep 2
    [ "$(ls D)" = "$(printf 'step-000002\nstep-000003')" ]
    [ "$(ls D/step-000003 | wc -l)" -eq 5 ]
    cp -r D E
    "$WEIR" "${base[@]}" --transport local -q --steps 6 --stages 1 --replicas 2 --checkpoint-dir D --resume --export local
    cmp whole/model.safetensors local/model.safetensors
    ranks 2 "" --steps 6 --stages 1 --replicas 2 --zero 0 -q --checkpoint-dir E --resume --export mpi
    cmp whole/model.safetensors mpi/model.safetensors
    [ "$(ls E/step-000006)" = "$(printf 'manifest.json\npart-00000.safetensors')" ]
}

@test "SIGUSR1 to mpirun saves, and the same command goes on, alone too" {
    local go=(--steps 100000 --stages 2 --replicas 2 --zero 1 -q --checkpoint-dir D --checkpoint-every 100000 --resume --metrics m)
    cat >signals <<'END'
#!/bin/bash
if [ "$OMPI_COMM_WORLD_RANK" = 0 ]; then
    ( until { [ -s m ] && [ "$(wc -l <m)" -ge 4 ]; } || ! kill -0 $PPID; do sleep 0.05; done; kill -USR1 $PPID ) &
fi
exec "$@"
END
    chmod +x signals
    run env MPI_TIMEOUT=100 bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 4 ./signals "$WEIR" "${base[@]}" "${go[@]}"
    [ "$status" -eq 138 ]
    [ "$(ls D | wc -l)" -eq 1 ]
    local steps
    steps=$("$JSON_GET" step <"D/$(ls D)/manifest.json")
    "$WEIR" train -q --resume --checkpoint-dir D --steps $((steps + 1)) --metrics m --export e
    whole --steps $((steps + 1)) --stages 1 --replicas 2 --metrics w
    cmp whole/model.safetensors e/model.safetensors
    cmp <(numbers w) <(numbers m)
}

@test "a checkpoint that is damaged is passed over by all processes" {
    whole --steps 4 --stages 2
    ranks 2 "" --steps 3 --stages 2 -q --checkpoint-dir D --checkpoint-every 1
    printf 'x' | dd of=D/step-000003/part-00001.safetensors bs=1 seek=300000 conv=notrunc 2>/dev/null
    run ranks 2 "" --steps 4 --stages 2 -q --checkpoint-dir D --resume --export e
    [ "$status" -eq 0 ]
    [[ "$output" == *"passed over: 'D/step-000003/part-00001.safetensors': tensor '"* ]]
    cmp whole/model.safetensors e/model.safetensors
}

@test "what one process cannot write is reported, the checkpoint before stays, and the run ends with its export" {
    cat >limited <<'END'
#!/bin/bash
if [ "$OMPI_COMM_WORLD_RANK" = 1 ] && [ -e D/step-000002 ]; then
    ulimit -f 6500 # kilobytes: enough for the files of MPI, not for 7 MB of state
fi
exec "$@"
END
    chmod +x limited
    ranks 2 "" --steps 2 --stages 2 -q --checkpoint-dir D
    run env MPI_TIMEOUT=100 bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 2 ./limited "$WEIR" "${base[@]}" -q --stages 2 \
        --checkpoint-dir D --checkpoint-every 2 --resume --steps 6 --export e
    [ "$status" -eq 1 ]
    [ "$(grep -c "a checkpoint could not be written, training goes on: .*cannot write 'D/step-000004/part-00001.safetensors'" <<<"$output")" -eq 1 ]
    [ "$(ls D)" = step-000002 ]
    whole --steps 6 --stages 1
    cmp whole/model.safetensors e/model.safetensors
}

@test "a folder that is not the same for all processes is refused with the host's name" {
    cat >own <<'END'
#!/bin/bash
mkdir -p "own$OMPI_COMM_WORLD_RANK"
cp text "own$OMPI_COMM_WORLD_RANK" && cd "own$OMPI_COMM_WORLD_RANK" && exec "$@"
END
    chmod +x own
    run env MPI_TIMEOUT=100 bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 2 ./own "$WEIR" "${base[@]}" --steps 2 --checkpoint-dir D
    [ "$status" -eq 1 ]
    [[ "$output" == *"'D' of host '$(hostname)' is not the folder that the first process has"* ]]
}
