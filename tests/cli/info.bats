#!/usr/bin/env bats
# weir info: what it says of the launcher that started it, and where it would place the processes of a run.

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

hwloc() {
    "$WEIR" info | grep -q '^library     hwloc [0-9]' || skip "this build has no hwloc"
}

@test "info --placement shows what each process plays and where" {
    hwloc
    host="pack:2 numa:1 core:4 pu:2"
    run "$WEIR" info --placement cluster --stages 4 --chunks 2 --replicas 2 --threads-per-rank 2 --topology "$host"
    [ "$status" -eq 0 ]
    [ "$output" = "process  replica  rank  stages     host  cores       cpus        NUMA  package  GPU
      0        0     0  0,2           0  0-1         0-3         0     0        -
      1        0     1  1,3           0  2-3         4-7         0     0        -
      2        1     0  0,2           0  4-5         8-11        1     1        -
      3        1     1  1,3           0  6-7         12-15       1     1        -" ]
    run bash -c '"$WEIR" info --placement spread --stages 2 --replicas 2 --ranks-per-host 2 --topology "$1" --json |
        "$JSON_GET" processes.2.replica processes.2.rank processes.2.host processes.3.cores.0 processes.0.gpu cores_shared' - "$host"
    [ "$output" = $'0\n1\n1\n1\nnull\nfalse' ]
}

@test "info --placement says when cores are shared, and takes every schedule" {
    hwloc
    run "$WEIR" info --placement cluster --stages 3 --threads-per-rank 2 --topology "pack:1 core:3 pu:1"
    [ "$status" -eq 0 ]
    [[ "$output" == *"cores are shared: 3 ranks of 2 threads on 3 cores of a host"* ]]
    run bash -c '"$WEIR" info --placement cluster --schedule zbv --stages 4 --topology core:4 --json; true'
    [[ "$output" == *"is no topology in hwloc's synthetic form"* ]]
    run bash -c '"$WEIR" info --placement cluster --schedule zbv --stages 4 --topology "core:4 pu:1" --json |
        "$JSON_GET" processes.0.stages.0 processes.0.stages.1 ranks'
    [ "$output" = $'0\n3\n2' ]
    run bash -c '"$WEIR" info --placement cluster --schedule dualpipe --stages 4 --topology "core:4 pu:1" --json |
        "$JSON_GET" processes.2.stages.0 processes.2.stages.1 processes.3.stages.0 processes.3.stages.1'
    [ "$output" = $'1\n2\n0\n3' ]
    for name in $("$WEIR" schedule list | sed -n 's/^\([a-z0-9][a-z0-9-]*\) .*/\1/p'); do
        run "$WEIR" info --placement spread --schedule "$name" --stages 8 --topology "core:4 pu:1"
        [ "$status" -eq 0 ] || { echo "$name: $output"; false; }
    done
}

@test "info --placement refuses what is no topology, and options that it alone reads need it" {
    hwloc
    run "$WEIR" info --placement cluster --topology missing.xml
    [ "$status" -eq 1 ]
    [[ "$output" == "weir info: topology: cannot open 'missing.xml': No such file or directory" ]]
    run "$WEIR" info --placement cluster --topology "$BATS_TEST_FILENAME"
    [ "$status" -eq 1 ]
    [[ "$output" == *"is no topology in hwloc's XML"* || "$output" == *"is no topology that hwloc"* ]]
    run "$WEIR" info --placement clutser
    [ "$status" -eq 2 ]
    [[ "$output" == *"did you mean 'cluster'"* ]]
    run "$WEIR" info --threads-per-rank 2
    [ "$status" -eq 2 ]
    [[ "$output" == *"--threads-per-rank needs --placement cluster or --placement spread"* ]]
}

@test "info --topology says what it understood, draws it and has rates as JSON" {
    run "$WEIR" info --topology "2 nodes x 2, 400GB/s inside, 50GB/s between, 5us" --svg "$BATS_TEST_TMPDIR/t.svg"
    [ "$status" -eq 0 ]
    [[ "$output" == *"4 devices on 2 nodes"*"2 pairs"*"400 GB/s      5 us  by node"*"4 pairs"*"50 GB/s"*"by network"* ]]
    grep -q '<svg' "$BATS_TEST_TMPDIR/t.svg"
    run bash -c '"$WEIR" info --topology "2 x 2, 400GB/s, 50GB/s" --json | "$JSON_GET" nodes bandwidth.0.1 bandwidth.0.2'
    [ "$output" = $'2\n400000000000.0\n50000000000.0' ]
}

@test "info --topology refuses what is no topology by its name" {
    run "$WEIR" info --topology "2 nodes x 8"
    [ "$status" -eq 1 ]
    [[ "$output" == *"'2 nodes x 8'"*"each level needs a rate"* ]]
    printf '<graphs version="1"/>' > "$BATS_TEST_TMPDIR/graph.xml"
    run "$WEIR" info --topology "$BATS_TEST_TMPDIR/graph.xml"
    [ "$status" -eq 1 ]
    [[ "$output" == *"graph.xml' has NCCL's graphs"* ]]
    run "$WEIR" info --svg "$BATS_TEST_TMPDIR/t.svg"
    [ "$status" -eq 2 ]
}
