#!/bin/bash
#SBATCH --nodes=2 --ntasks-per-node=2
# Two nodes of two processes, started by mpirun, which asks Slurm where:
#   sbatch examples/slurm_mpirun.sh --model gpt2 --data book.txt --stages 4
mpirun --bind-to none "${WEIR:-weir}" train "$@"
