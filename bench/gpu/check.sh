#!/bin/bash
# Everything that needs a GPU, on a machine that has one and no network.  Each part is reported when it is over, so that a run
# that is cut short still says what it found.  build/gpu/report.md has it all, and the last column for docs/gpu-results.md.
#
#   bash bench/gpu/check.sh [FOLDER]     FOLDER or FOLDER.tar.gz: what collect.sh fetched, where packages are missing
#   bash bench/gpu/check.sh --rehearse   the same parts on stand-ins for CUDA and NCCL, with the command $WEIR_FAKE: finds
#                                        mistakes of these scripts where there is no GPU, and says so in its report
#
#   WEIR_GPU_PARTS     names of parts, split at blanks, to run only these; a build of before is used
#   WEIR_GPU_SECONDS   for all parts together; 530.  With more, on a slow machine, each part has more too
#   WEIR_GPU_MPS       1: processes share the GPU through a private MPS daemon instead of taking turns
#
# A part that fails does not stop the others, and one for which the build or the machine lacks something has failed.  Without a
# CUDA device the parts that need one say so.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
root=$PWD
rehearse=0
[ "${1:-}" != --rehearse ] || {
    rehearse=1
    shift
}
if [ "$rehearse" -eq 1 ]; then
    out=${WEIR_GPU_OUT:-$root/build/gpu-rehearsal}
    weir=${WEIR_FAKE:?"--rehearse needs WEIR_FAKE, the command on the stand-ins: build/release/tests/stand_ins/fake_nccl/weir_fake"}
    build=$(cd "$(dirname "$weir")/../.." && pwd)
else
    out=${WEIR_GPU_OUT:-$root/build/gpu}
    build=$out/build
    weir=$build/bin/weir
fi
seconds=${WEIR_GPU_SECONDS:-530}
mkdir -p "$out"
report=$out/report.md

# shellcheck source=bench/gpu/machine.bash
. "$root/bench/gpu/machine.bash"
# shellcheck source=bench/gpu/parts.bash
. "$root/bench/gpu/parts.bash"
[ $# -eq 0 ] || use_folder "$1"
nccl_options=
if [ "$rehearse" -eq 1 ]; then
    use_stand_ins
else
    find_cuda_and_nccl
fi

# part NAME SECONDS: run part_NAME, remember how it went
failed=0
declare -A verdicts
part() {
    local name=$1 limit=$2 started=$SECONDS verdict=ok code=0 left=$((seconds - SECONDS))
    [[ " ${WEIR_GPU_PARTS:-$name} " == *" $name "* ]] || {
        verdicts[$name]="not run"
        return
    }
    [ "$seconds" -le 530 ] || limit=$((limit * seconds / 530))
    [ "$limit" -le "$left" ] || limit=$left
    if [ "$left" -le 0 ]; then
        verdict="FAILED: no time was left (WEIR_GPU_PARTS=$name runs it alone)"
        failed=1
    else
        # processes that hang end before the part does
        MPI_TIMEOUT=$((limit * 2 / 3)) timeout --kill-after=5 "$limit" bash -c "part_$name" >"$out/$name.log" 2>&1 || code=$?
    fi
    if [ "$code" -eq 77 ]; then
        verdict="skipped: $(tail -n 1 "$out/$name.log")"
    elif [ "$code" -ne 0 ]; then
        verdict="FAILED ($code)"
        [ "$code" -ne 124 ] || verdict="FAILED (not finished after $limit s)"
        failed=1
        tail -n 20 "$out/$name.log"
    fi
    verdicts[$name]=$verdict
    printf '| %s | %s | %d s |\n' "$name" "$verdict" $((SECONDS - started)) | tee -a "$report"
}

# results_row WHAT PART..: a row of the table in docs/gpu-results.md, "yes" when all these parts were well
results_row() {
    local what=$1 said=yes name
    [ "$rehearse" -eq 0 ] || said="no: rehearsed"
    shift
    for name in "$@"; do
        [ "${verdicts[$name]-not run}" = ok ] || said="no: $name ${verdicts[$name]-not run}"
    done
    printf '| %s | %s |\n' "$what" "$said"
}

# shellcheck disable=SC2016 # no command, but code in Markdown
results_table() {
    printf '\n| part | run on a GPU |\n| --- | --- |\n'
    results_row 'kernels of all rows of `weir_ops`, f32 and bf16 (`kernels/cuda/*.cu`)' rows rows_memcheck rows_racecheck
    results_row 'rows of generation: attention over a cache, last row, rows within a sequence (`attention_cached.cu`, `last_row.cu`)' \
        rows rows_memcheck rows_racecheck
    results_row 'vector kernels: add, reduce, square sums, gate, AdamW, SGD, rounding to bf16 (`vector.cu`)' rows rows_memcheck \
        rows_racecheck
    results_row 'rows in C that call them (`cuda_*.c`)' rows
    results_row 'matrix products through cuBLASLt (`cuda_matmul_lt.c`), tf32 among them' rows tf32
    results_row 'the device: memory, streams, events, copies, marks (`engine/device/cuda*.c`)' device
    results_row 'the engine on it: training over stages, schedules' exactness near_the_cpu trace memcheck racecheck synccheck
    results_row 'the same in bf16 (`--dtype bf16`)' bf16
    results_row 'the generator on it: prompts in chunks, tokens, several samples, stages' generation
    results_row 'times of kernels (`--profile`)' profile
    results_row 'pipelines of processes over NCCL (`engine/transport/nccl*.c`)' nccl_2 nccl_4 nccl_death nccl_memcheck
    results_row 'replicas and ZeRO-1 over NCCL' nccl_replicas
    results_row 'statuses of the CUDA runtime (`cuda_error.c`)' rows
}

for name in ${WEIR_GPU_PARTS:-}; do
    declare -F "part_$name" >/dev/null || {
        printf "check.sh: there is no part '%s'\n" "$name" >&2
        exit 2
    }
done
{
    [ "$rehearse" -eq 1 ] && printf '# Rehearsal of the checks: stand-in, no GPU\n\nNothing of this was run on a GPU.\n\n' ||
        printf '# Checks on a GPU\n\n'
    printf '%s, commit %s\n\n' "$(date -u +%F)" "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo "no CUDA device"
    printf 'NCCL: %s\n\n| part | how it went | time |\n| --- | --- | --- |\n' "$nccl_where"
} >"$report"

# shellcheck disable=SC2046 # names of functions have no spaces
export -f $(compgen -A function)
export root out build weir rehearse nccl_where nccl_options
mps_start
part build 170
if [ -x "$weir" ]; then
    # what has never run anywhere comes first: when time runs out, the rest is repeated by name
    for row in "mpi 15" "rows 30" "device 20" "exactness 30" "nccl_2 40" "nccl_replicas 45" "nccl_4 40" "bf16 15" "generation 20" \
        "near_the_cpu 15" "profile 10" "tf32 10" "trace 10" "nccl_death 30" "rows_memcheck 60" "memcheck 25" \
        "nccl_memcheck 60" "rows_racecheck 50" "racecheck 25" "synccheck 20" "processor 60"; do
        part "${row% *}" "${row#* }"
    done
else
    failed=1
fi
mps_stop
results_table >>"$report"
[ "$rehearse" -eq 0 ] || printf 'stand-in, no GPU: nothing of this was run on one\n'
printf 'the tables are in %s\n' "$report"
exit $failed
