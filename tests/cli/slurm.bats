#!/usr/bin/env bats
# A real Slurm of two nodes, where it can be started: what weir sees of srun and sbatch, and training under both.

bats_require_minimum_version 1.5.0

# Run a script of bash lines within slurm.sh into $output and $status; the test is skipped with its reason when that is.
slurm() {
    run "$WEIR_SOURCE_DIR/tests/support/slurm.sh" bash -c 'set -e; cd "$WEIR_SLURM_DIR"
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
        export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader,tcp OMPI_MCA_btl_tcp_if_include=127.0.0.0/8
        export OMPI_MCA_oob_tcp_if_include=127.0.0.0/8
        '"$1"
    [ "$status" -ne 77 ] || skip "${output#skipped: }"
    echo "$output"
}

@test "under srun and sbatch weir info knows its place" {
    slurm 'srun -N1 -n2 "$WEIR" info | grep ^launcher | sort
        srun -N2 -n4 --mpi=pmix "$WEIR" info | grep ^launcher | sort
        srun -N2 -n2 --mpi=pmi2 "$WEIR" info | grep ^launcher | sort
        printf "#!/bin/bash\n\"%s\" info | grep ^launcher\nmpirun \"%s\" info | grep ^launcher | sort\n" "$WEIR" "$WEIR" >job
        sbatch --wait --nodes=2 --ntasks-per-node=2 --output=out job >/dev/null
        cat out'
    [ "$status" -eq 0 ]
    while read -r line; do
        echo "missing: $line"
        grep -qF -- "$line" <<<"$output"
    done <<END
Slurm srun: rank 1 (SLURM_PROCID) of 2 (SLURM_STEP_NUM_TASKS), 1 of 2 on its host (SLURM_LOCALID), host 0 of 1 (SLURM_NODEID), rank 0 on n
Slurm srun --mpi=pmix: rank 3 (PMIX_RANK) of 4 (SLURM_STEP_NUM_TASKS), 1 of 2 on its host (SLURM_LOCALID), host 1 of 2 (SLURM_NODEID), rank 0 on n1
Slurm srun --mpi=pmi2: rank 1 (PMI_RANK) of 2 (PMI_SIZE), 0 of 1 on its host (SLURM_LOCALID), host 1 of 2 (SLURM_NODEID), rank 0 on n1
launcher    none: one process
Open MPI: rank 2 (OMPI_COMM_WORLD_RANK) of 4 (OMPI_COMM_WORLD_SIZE), 0 of 2 on its host
END
    [ "$(grep -c "^launcher" <<<"$output")" -eq 13 ]
}

@test "training under sbatch with mpirun and with srun gives the numbers of one process" {
    "$WEIR" info | grep -q '^transport   mpi' || skip "this build has no MPI"
    slurm 'cat "$WEIR_SOURCE_DIR"/docs/*.md >text
        train="--model gpt2-tiny --data $PWD/text --stages 2 --replicas 2 --microbatches 4 --microbatch-size 2 --seq-len 16
            --steps 2 -q"
        "$WEIR" train $train --transport local --metrics local
        for way in mpirun srun; do
            sbatch --wait --output=out.$way "$WEIR_SOURCE_DIR/examples/slurm_$way.sh" $train --metrics "$PWD/$way" || cat out.$way
        done
        srun -N2 -n4 --mpi=pmix "$WEIR" train $train --placement spread --metrics "$PWD/spread"
        for run in local mpirun srun spread; do grep -o "\"loss\": [^,]*, \"grad_norm\": [^,]*" $run >$run.numbers; done
        [ "$(wc -l <local.numbers)" -eq 2 ]
        for run in mpirun srun spread; do cmp local.numbers $run.numbers; done'
    [ "$status" -eq 0 ]
}

@test "slurm.sh passes on the exit status, ends what hangs and leaves nothing behind" {
    slurm 'exit 3'
    [ "$status" -eq 3 ]
    SLURM_TIMEOUT=1 slurm 'pwd; srun sleep 60'
    [ "$status" -eq 5 ]
    [ ! -e "${lines[0]%/job}" ]
}
