#!/bin/bash
# Runs a command as N processes under mpirun, the same way for all tests and benchmarks; nothing else in tests/ starts
# mpirun.
#
#   mpi.sh N COMMAND [ARGUMENT...]
#
#   MPI_ARGS       more arguments for mpirun, split at blanks (hosts.sh: the hosts and the agent that reaches them)
#   MPI_TIMEOUT    seconds after which everything is ended; 60
#   MPI_PASS       names of more variables to hand to processes on other hosts, split at blanks
#
# Exit status: the first process's that failed; 77 with "skipped: why" when there is no mpirun; 5 after the timeout.
#
# There may be more processes than cores: they are not bound, and give the core away when they wait.  The library itself
# sets none of this.
set -euo pipefail

die() {
    printf 'mpi.sh: %s\n' "$*" >&2
    exit 2
}

[ $# -ge 2 ] || die "usage: mpi.sh N COMMAND [ARGUMENT...]"
n=$1
shift
[[ $n =~ ^[1-9][0-9]*$ ]] || die "'$n' is not a number of processes"
command -v mpirun >/dev/null || {
    echo "skipped: mpirun is not installed"
    exit 77
}
if ! mpirun --version 2>/dev/null | grep -q "Open MPI"; then
    echo "skipped: mpirun is not Open MPI's"
    exit 77
fi

export OMPI_MCA_mpi_yield_when_idle=1
# what the library's plugins leak can only be told from ours by whole stacks (lsan.supp names the library)
[ -z "${ASAN_OPTIONS:-}" ] || export ASAN_OPTIONS=$ASAN_OPTIONS:fast_unwind_on_malloc=0
if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# mpirun keeps its files below TMPDIR, whose path must stay short enough for a socket; a test's own is often too long
scratch=$(mktemp -d /tmp/weir-mpi.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
export PRTE_MCA_prte_tmpdir_base=$scratch OMPI_MCA_orte_tmpdir_base=$scratch

pass=()
for name in OMPI_MCA_mpi_yield_when_idle WEIR WEIR_TEST_DATA ${MPI_PASS:-}; do
    [ -z "${!name+set}" ] || pass+=(-x "$name")
done

status=0
# shellcheck disable=SC2086 # MPI_ARGS is a list
timeout --kill-after=10 "${MPI_TIMEOUT:-60}" \
    mpirun --oversubscribe --bind-to none "${pass[@]}" ${MPI_ARGS:-} -np "$n" "$@" </dev/null || status=$?
# mpirun too says 137, when a process was killed
if [ "$status" -eq 124 ] || { [ "$status" -eq 137 ] && [ "$SECONDS" -ge "${MPI_TIMEOUT:-60}" ]; }; then
    printf 'mpi.sh: not finished after %s s\n' "${MPI_TIMEOUT:-60}" >&2
    exit 5
fi
exit "$status"
