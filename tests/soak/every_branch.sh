#!/bin/bash
# Every built-in schedule on graphs with branches, 1 to 9 micro-batches, kept and recomputed, one replica, two, and two with ZeRO-1, over
# every transport (random_branches.sh has the rows): the bits of one stage every time.
#
#     tests/soak/every_branch.sh [BUILD] [ROW]         default build/release, all rows
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/soak/branch_rows.bash
source tests/soak/branch_rows.bash
build=${1:-build/release}
from=0 last=$(($("$build/tests/branch_ranks") - 1)) chunk=100 only=${2:-}
rows_run "$build" branch_ranks
