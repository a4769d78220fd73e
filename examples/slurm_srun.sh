#!/bin/bash
#SBATCH --nodes=2 --ntasks-per-node=2
# Two nodes of two processes, started by Slurm itself; its PMIx plugin has to fit the MPI (srun --mpi=list):
#   sbatch examples/slurm_srun.sh --model gpt2 --data book.txt --stages 4
srun --mpi=pmix "${WEIR:-weir}" train "$@"
