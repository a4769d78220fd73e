#!/bin/bash
# Everything that needs a GPU, on a machine that has one and no network.  Each part is reported when it is over, so that a run
# that is cut short still says what it found; build/gpu/report.md has the table for docs/gpu-results.md.
#
#   bash bench/gpu/check.sh [FOLDER]     FOLDER: what collect.sh fetched, where packages are missing
#
# A part that fails does not stop the others.  Without a CUDA device the parts that need one say so.
# shellcheck disable=SC2317 # parts are called by name
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
root=$PWD
out=$root/build/gpu
mkdir -p "$out"
report=$out/report.md

if [ $# -gt 0 ]; then
    prefix=$(cd "$1" && pwd)/prefix/usr
    export PKG_CONFIG_PATH=$prefix/lib/x86_64-linux-gnu/pkgconfig:$prefix/share/pkgconfig
    export LD_LIBRARY_PATH=$prefix/lib/x86_64-linux-gnu:${LD_LIBRARY_PATH:-} PATH=$PATH:$prefix/bin
fi
command -v nvcc >/dev/null || PATH=$PATH:/usr/local/cuda/bin

# part NAME SECONDS COMMAND..: run it, remember how it went
failed=0
part() {
    local name=$1 limit=$2 started=$SECONDS verdict=ok code=0
    shift 2
    timeout "$limit" "$@" >"$out/$name.log" 2>&1 || code=$?
    if [ "$code" -eq 77 ]; then
        verdict="skipped: $(tail -n 1 "$out/$name.log")"
    elif [ "$code" -ne 0 ]; then
        verdict="FAILED ($code)"
        failed=1
        tail -n 20 "$out/$name.log"
    fi
    printf '| %s | %s | %d s |\n' "$name" "$verdict" $((SECONDS - started)) | tee -a "$report"
}

# Ends the part when there is no GPU.
need_gpu() {
    local text
    text=$("$build/bin/weir" info | grep '^device *cuda')
    [[ $text != *": 0"* && -n $text ]] || {
        text=${text#*: 0, }
        printf '%s\n' "${text%%: use --device*}"
        exit 77
    }
}

build=$out/build
part_build() {
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DWEIR_CUDA=ON -DWEIR_ONEDNN=OFF \
        "-DCMAKE_CUDA_ARCHITECTURES=${WEIR_GPU_ARCHITECTURES:-native}" && cmake --build "$build"
}

# Where no GPU says what it is.
part_build_portable() {
    WEIR_GPU_ARCHITECTURES='90-real;80-virtual' part_build
}

# The kernels and the engine on the processor: they must hold before a GPU is asked.
part_processor() {
    ctest --test-dir "$build" --output-on-failure -R '^(cuda_.*|emulation|fake_device.*)$'
}

part_device() {
    need_gpu
    "$build/tests/test_device" && "$build/tests/test_device_graphs" && "$build/tests/test_device_kinds"
}

# losses DEVICE STAGES SCHEDULE [OPTION..]: what every step reports, exactly
losses() {
    "$build/bin/weir" train --model gpt2-tiny --data "$root/docs/training.md" --steps 20 --microbatches 4 --seed 7 \
        --device "$1" --stages "$2" --schedule "$3" --quiet --metrics "$out/metrics.json" "${@:4}" &&
        grep -o '"loss": *[^,}]*' "$out/metrics.json"
}

part_exactness() {
    need_gpu
    local one other
    one=$(losses cuda:0 1 gpipe) || exit 1
    printf '%s\n' "$one"
    for layout in "2 1f1b" "4 1f1b" "4 zb-h1" "4 gpipe" "2 1f1b --recompute full"; do
        # shellcheck disable=SC2086 # a layout is several words
        other=$(losses cuda:0 $layout) || exit 1
        [ "$one" = "$other" ] || {
            printf 'layout %s has other losses:\n%s\n' "$layout" "$other"
            exit 1
        }
    done
}

part_near_the_cpu() {
    need_gpu
    paste <(losses cpu 1 gpipe) <(losses cuda:0 1 gpipe) | sed 's/"loss": *//g' | awk '
        { print; d = $1 - $2; if (d < 0) d = -d; if (d > 1e-3 * $1) bad = 1 } END { exit bad || NR == 0 }'
}

part_tf32() {
    need_gpu
    losses cuda:0 2 1f1b --dtype tf32
}

sanitizer() {
    need_gpu
    command -v compute-sanitizer >/dev/null || {
        printf 'compute-sanitizer was not found\n'
        exit 77
    }
    compute-sanitizer --tool "$1" --error-exitcode 1 "$build/bin/weir" train --model gpt2-tiny \
        --data "$root/docs/training.md" --steps 1 --microbatches 2 --seq-len 16 --device cuda:0 --stages 2 --quiet
}

part_memcheck() { sanitizer memcheck; }
part_racecheck() { sanitizer racecheck; }
part_synccheck() { sanitizer synccheck; }

{
    printf '# Checks on a GPU\n\n%s, commit %s\n\n' "$(date -u +%F)" "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo "no CUDA device"
    printf '\n| part | how it went | time |\n| --- | --- | --- |\n'
} >"$report"

# shellcheck disable=SC2046 # names of functions have no spaces
export -f need_gpu losses sanitizer $(compgen -A function part_)
export root out build
arch_native=build
nvidia-smi >/dev/null 2>&1 || arch_native=build_portable
part build 240 bash -c "part_$arch_native"
[ -x "$build/bin/weir" ] || exit 1
for row in "processor 60" "device 30" "exactness 60" "near_the_cpu 40" "tf32 20" "memcheck 60" "racecheck 60" "synccheck 30"; do
    part "${row% *}" "${row#* }" bash -c "part_${row% *}"
done
printf 'the table is in %s\n' "$report"
exit $failed
