#!/usr/bin/env bats
# weir info: what it says of the launcher that started it.

launcher() {
    env "$@" "$WEIR" info | sed -n 's/^launcher *//p'
}

@test "info names the launcher and the variables that it was told by" {
    [ "$(launcher WEIR_TEST=1)" = "none: one process" ]
    [ "$(launcher PMI_RANK=5 PMI_SIZE=8 MPI_LOCALRANKID=1 MPI_LOCALNRANKS=4)" = \
        "PMI: rank 5 (PMI_RANK) of 8 (PMI_SIZE), 1 of 4 on its host (MPI_LOCALRANKID)" ]
    [ "$(launcher PMI_RANK=5)" = "cannot be told: PMI_RANK=5 is set, but PMI_SIZE is not: set both or none" ]
}

@test "info --json has the launcher's numbers, null where it does not say" {
    run bash -c 'FLUX_TASK_RANK=3 FLUX_JOB_SIZE=4 "$WEIR" info --json |
        "$JSON_GET" launcher.name launcher.rank launcher.ranks launcher.variables.rank'
    [ "$status" -eq 0 ]
    [ "$output" = $'"Flux"\n3\n4\n"FLUX_TASK_RANK"' ]
    FLUX_TASK_RANK=3 FLUX_JOB_SIZE=4 "$WEIR" info --json | grep -q '"local_rank": null'
}

@test "training refuses variables of a launcher that contradict each other" {
    run env OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=2 "$WEIR" train --model gpt2-tiny --data "$BATS_TEST_FILENAME" --steps 1
    [ "$status" -eq 2 ]
    [[ "$output" == *"OMPI_COMM_WORLD_RANK=2 contradicts OMPI_COMM_WORLD_SIZE=2"* ]]
}
