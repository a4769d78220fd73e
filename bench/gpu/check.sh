#!/bin/bash
# Everything that needs a GPU, in one visit of eight minutes to a machine that has one and no network.
#
#   bash bench/gpu/check.sh [--built DIR] [--out DIR] [FOLDER]
#   bash bench/gpu/check.sh --rehearse [--out DIR]
#
#   --built DIR   DIR or DIR.tar.gz of collect.sh: binaries made elsewhere, with the libraries they need.  Weir is built here
#                 only when they do not start
#   --out DIR     what comes back: report.md, logs.txt and what figures the parts print, at most 8 files of at most 16 MiB.
#                 Written after every part, so that a run that is cut still says what it found; build/gpu/out
#   --rehearse    the same parts in the same order on stand-ins for CUDA and NCCL, with the command $WEIR_FAKE: finds mistakes
#                 of these scripts where there is no GPU, and says so in its report
#   FOLDER        FOLDER or FOLDER.tar.gz of collect.sh, for its packages alone: Weir is built here
#
#   WEIR_GPU_PARTS     names of parts, split at blanks, to run only these
#   WEIR_GPU_SECONDS   for all parts together; 480.  With more, on a slow machine, each part and process has more too
#   WEIR_GPU_WORK      where it builds and keeps what does not come back; build/gpu
#   WEIR_GPU_MPS       1: processes share the GPU through a private MPS daemon instead of taking turns
#
# A part that fails does not stop the others, and one for which the build or the machine lacks something has failed.  Without a
# CUDA device the parts that need one say so.  Every process has a limit of its own beside its part's.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
root=$PWD
usage() {
    printf 'check.sh: %s; usage: check.sh [--rehearse] [--built DIR] [--out DIR] [FOLDER]\n' "$1" >&2
    exit 2
}
rehearse=0 built='' out='' folder=''
while [ $# -gt 0 ]; do
    case $1 in
    --rehearse) rehearse=1 ;;
    --built | --out)
        [ $# -ge 2 ] || usage "$1 needs a folder"
        printf -v "${1#--}" %s "$2"
        shift
        ;;
    -*) usage "there is no option '$1'" ;;
    *) folder=$1 ;;
    esac
    shift
done
if [ "$rehearse" -eq 1 ]; then
    work=${WEIR_GPU_WORK:-$root/build/gpu-rehearsal}
    weir=${WEIR_FAKE:?"--rehearse needs WEIR_FAKE, the command on the stand-ins: build/release/tests/stand_ins/fake_nccl/weir_fake"}
    build=$(cd "$(dirname "$weir")/../../.." && pwd)
else
    work=${WEIR_GPU_WORK:-$root/build/gpu}
    build=$work/build
    weir=$build/bin/weir
fi
mkdir -p "$work" "${out:=$work/out}" || exit 1
work=$(cd "$work" && pwd) out=$(cd "$out" && pwd)
seconds=${WEIR_GPU_SECONDS:-480}
slow=$(((seconds + 479) / 480)) # times as long as on the machine that the limits are for
[ "$slow" -gt 0 ] || slow=1
nccl_options='' nccl_where='' built_bin=''

# shellcheck source=bench/gpu/machine.bash
. "$root/bench/gpu/machine.bash"
# shellcheck source=bench/gpu/report.bash
. "$root/bench/gpu/report.bash"
# shellcheck source=bench/gpu/parts.bash
. "$root/bench/gpu/parts.bash"
# shellcheck source=bench/gpu/speed.bash
. "$root/bench/gpu/speed.bash"

for name in ${WEIR_GPU_PARTS:-}; do
    declare -F "part_$name" >/dev/null || {
        printf "check.sh: there is no part '%s'\n" "$name" >&2
        exit 2
    }
done
[ -z "$built$folder" ] || use_folder "${built:-$folder}"
if [ "$rehearse" -eq 1 ]; then
    use_stand_ins
else
    find_cuda_and_nccl
fi

# shellcheck disable=SC2046 # names of functions have no spaces
export -f $(compgen -A function)
export root work out build weir rehearse nccl_where nccl_options built_bin slow
report_begin
mps_start

part env 10
if [ "$rehearse" -eq 0 ] && is_wanted build && ! use_built; then
    build_begin # on the processor, beside what needs no Weir
fi
part ceilings 25
part build 170
if [ -x "$weir" ]; then
    # what has never run anywhere and what is asked first; what repeats the rest under a tool comes last
    for row in "rows 30" "device 15" "speed 60" "torch 60" "exactness 20" "bf16 15" "near_the_cpu 10" "tf32 10" "nccl_2 40" \
        "rows_memcheck 50" "nccl_replicas 40" "nccl_4 30" "ncu 45" "nccl_death 20" "generation 15" "trace 10" \
        "rows_racecheck 50"; do
        part "${row% *}" "${row#* }"
        # does Open MPI work at all?
        [ "${row% *}" != nccl_2 ] || [[ ${verdicts[nccl_2]} != FAILED* && -z ${WEIR_GPU_PARTS:-} ]] || part mpi 15
    done
    # where there is time for them
    for row in "products 30" "memcheck 25" "nccl_memcheck 60" "synccheck 20" "racecheck 25"; do
        part "${row% *}" "${row#* }" extra
    done
else
    failed=1
fi
mps_stop
report_write
[ "$rehearse" -eq 0 ] || printf 'stand-in, no GPU: nothing of this was run on one\n'
printf 'the report is %s\n' "$out/report.md"
exit "$failed"
