#!/bin/bash
# Random graphs with branches on random schedules, cuts, recomputation, replicas and ZeRO-1, over every transport: the bits of one
# stage every time.
#
#     tests/soak/random_branches.sh [SEEDS] [BUILD] [ROW]      default 500 build/release; seeds of each of the seven rows, or of ROW
#
# The rows: ranks as threads of one process; as processes on one host, and on hosts that are pretended; the stand-in for CUDA, ranks as
# threads, with work that starts late and in any order; the stand-in for NCCL, with messages one after the other and in any order.  What
# this machine lacks is left out and named.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seeds=${1:-500} build=${2:-build/release} only=${3:-}
program=$build/tests/random_ranks fake=$build/tests/stand_ins/fake_nccl/random_ranks_fake
chunk=50 # seeds of one start: a process that has failed says which
rows=0 failed=0

# row NAME COMMAND..: COMMAND with the first and the last seed, chunk by chunk
row() {
    local name=$1 start=$SECONDS first last
    [ -z "$only" ] || [ "$only" = "$name" ] || return 0
    shift
    rows=$((rows + 1))
    for ((first = 1; first <= seeds; first += chunk)); do
        last=$((first + chunk - 1 < seeds ? first + chunk - 1 : seeds))
        if ! "$@" "$first" "$last" >"$log" 2>&1; then
            failed=$((failed + 1))
            cat "$log"
            echo "$name: seeds $first to $last failed"
            return
        fi
    done
    echo "$name: $seeds graphs and schedules, the bits of one stage; $((SECONDS - start)) s"
}

processes() { # HOSTS PROGRAM TRANSPORT DEVICE RANKS FIRST LAST
    local hosts=$1 ranks=$5
    shift
    WEIR_TEST_HOSTS=$hosts MPI_TIMEOUT=300 MPI_PASS="WEIR_FAKE_GPUS WEIR_FAKE_MODE WEIR_FAKE_SEED WEIR_FAKE_NCCL" \
        bash tests/support/mpi.sh "$ranks" "$@"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
row "local" "$program" local cpu 4
if command -v mpirun >/dev/null && "$build/bin/weir" info | grep -q '^transport   mpi'; then
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
