#!/bin/bash
# Everything that needs a GPU, on a machine that has one and no network.  Each part is reported when it is over, so that a run
# that is cut short still says what it found.  build/gpu/report.md has it all, and the last column for docs/gpu-results.md.
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
declare -A verdicts
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
    verdicts[$name]=$verdict
    printf '| %s | %s | %d s |\n' "$name" "$verdict" $((SECONDS - started)) | tee -a "$report"
}

# results_row WHAT PART..: a row of the table in docs/gpu-results.md, "yes" when all these parts were well
results_row() {
    local what=$1 said=yes name
    shift
    for name in "$@"; do
        [ "${verdicts[$name]}" = ok ] || said="no: $name ${verdicts[$name]}"
    done
    printf '| %s | %s |\n' "$what" "$said"
}

# shellcheck disable=SC2016 # no command, but code in Markdown
results_table() {
    printf '\n| part | run on a GPU |\n| --- | --- |\n'
    results_row 'kernels of all rows of `weir_ops`, f32 and bf16 (`kernels/cuda/*.cu`)' rows rows_memcheck rows_racecheck
    results_row 'rows of generation: attention over a cache, last row, rows within a sequence (`attention_cached.cu`, `last_row.cu`)' \
        rows rows_memcheck rows_racecheck
    results_row 'vector kernels: add, reduce, square sums, gate, AdamW, SGD, rounding to bf16 (`vector.cu`)' rows rows_memcheck rows_racecheck
    results_row 'rows in C that call them (`cuda_*.c`)' rows
    results_row 'matrix products through cuBLASLt (`cuda_matmul_lt.c`), tf32 among them' rows tf32
    results_row 'the device: memory, streams, events, copies, marks (`engine/device/cuda*.c`)' device
    results_row 'the engine on it: training over stages, schedules' exactness near_the_cpu trace memcheck racecheck synccheck
    results_row 'the same in bf16 (`--dtype bf16`)' bf16
    results_row 'the generator on it: prompts in chunks, tokens, several samples, stages' generation
    results_row 'statuses of the CUDA runtime (`cuda_error.c`)' rows
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

# The kernels and the device on the processor, with this machine's compiler.
part_processor() {
    ctest --test-dir "$build" --output-on-failure -R '^(cuda_rows|cuda_vector|cuda_generation|emulation|fake_(device.*|rows|vector|generation))$'
}

# Every row and every vector kernel against the CPU's, on the device.
part_rows() {
    need_gpu
    "$build/tests/cuda_on_cpu/test_cuda_rows_gpu" && "$build/tests/cuda_on_cpu/test_cuda_vector_gpu" &&
        "$build/tests/cuda_on_cpu/test_cuda_generation_gpu"
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

# texts DEVICE STAGES: of a model that a few steps of training have made sure of its next byte
texts() {
    "$build/bin/weir" generate --init-from "$out/model" --prompt 'A schedule is ' --tokens 40 --samples 2 --json --quiet \
        --device "$1" --stages "$2"
}

# The CPU's greedy texts, on any number of stages.
part_generation() {
    need_gpu
    local one other
    losses cuda:0 2 1f1b --export "$out/model" >/dev/null && one=$(texts cpu 1) || exit 1
    printf '%s\n' "$one"
    for stages in 1 3; do
        other=$(texts cuda:0 "$stages") || exit 1
        [ "$one" = "$other" ] || {
            printf '%s stages on a GPU say\n%s\n' "$stages" "$other"
            exit 1
        }
    done
}

part_tf32() {
    need_gpu
    losses cuda:0 2 1f1b --dtype tf32
}

# The same losses on one stage and four, and not far from those in f32.
part_bf16() {
    need_gpu
    local one other
    one=$(losses cuda:0 1 gpipe --dtype bf16) && other=$(losses cuda:0 4 zb-h1 --dtype bf16) || exit 1
    [ "$one" = "$other" ] || {
        printf 'on four stages the losses are others:\n%s\n%s\n' "$one" "$other"
        exit 1
    }
    paste <(losses cuda:0 1 gpipe) <(printf '%s\n' "$one") | sed 's/"loss": *//g' | awk '
        { print; d = $1 - $2; if (d < 0) d = -d; if (d > 2e-2 * $1) bad = 1 } END { exit bad || NR == 0 }'
}

# A trace to look at; that its times are in order is checked on the stand-in.
part_trace() {
    need_gpu
    losses cuda:0 4 zb-h1 --trace "$out/trace.json" && ! grep -q '"dur": *-' "$out/trace.json"
}

# sanitizer TOOL PROGRAM..
sanitizer() {
    need_gpu
    command -v compute-sanitizer >/dev/null || {
        printf 'compute-sanitizer was not found\n'
        exit 77
    }
    compute-sanitizer --tool "$1" --error-exitcode 1 "${@:2}"
}

# rows_under TOOL: without the larger cases, under which these tools take minutes
rows_under() {
    WEIR_ROWS_SMALL=1 sanitizer "$1" "$build/tests/cuda_on_cpu/test_cuda_rows_gpu" &&
        WEIR_ROWS_SMALL=1 sanitizer "$1" "$build/tests/cuda_on_cpu/test_cuda_vector_gpu" &&
        sanitizer "$1" "$build/tests/cuda_on_cpu/test_cuda_generation_gpu"
}

# step_under TOOL: one step of training
step_under() {
    sanitizer "$1" "$build/bin/weir" train --model gpt2-tiny --data "$root/docs/training.md" --steps 1 --microbatches 2 \
        --seq-len 16 --device cuda:0 --stages 2 --quiet
}

part_rows_memcheck() { rows_under memcheck; }
part_rows_racecheck() { rows_under racecheck; }
part_memcheck() { step_under memcheck; }
part_racecheck() { step_under racecheck; }
part_synccheck() { step_under synccheck; }

{
    printf '# Checks on a GPU\n\n%s, commit %s\n\n' "$(date -u +%F)" "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo "no CUDA device"
    printf '\n| part | how it went | time |\n| --- | --- | --- |\n'
} >"$report"

# shellcheck disable=SC2046 # names of functions have no spaces
export -f need_gpu losses texts sanitizer rows_under step_under $(compgen -A function part_)
export root out build
arch_native=build
nvidia-smi >/dev/null 2>&1 || arch_native=build_portable
part build 180 bash -c "part_$arch_native"
[ -x "$build/bin/weir" ] || exit 1
# limits: with the build's 180 s less than nine minutes together
for row in "rows 30" "device 25" "exactness 40" "near_the_cpu 15" "tf32 10" "bf16 8" "generation 14" "trace 10" "rows_memcheck 60" "rows_racecheck 50" \
    "memcheck 25" "racecheck 25" "synccheck 20" "processor 40"; do
    part "${row% *}" "${row#* }" bash -c "part_${row% *}"
done
results_table >>"$report"
printf 'the tables are in %s\n' "$report"
exit $failed
