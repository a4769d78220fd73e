#!/bin/bash
# Random graphs with branches on random schedules, cuts, recomputation, replicas and ZeRO-1, over every transport: the bits of one
# stage every time.
#
#     tests/soak/random_branches.sh [SEEDS] [BUILD] [ROW]      default 500 build/release; seeds of each of the seven rows, or of ROW
#
# The rows: ranks as threads of one process; as processes on one host, and on hosts that are pretended; the stand-in for CUDA, ranks as
# threads, with work that starts late and in any order; the stand-in for NCCL, with messages one after the other and in any order.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/soak/branch_rows.bash
source tests/soak/branch_rows.bash
from=1 last=${1:-500} chunk=50 only=${3:-}
rows_run "${2:-build/release}" random_ranks
