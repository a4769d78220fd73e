# The parts of check.sh: what is run on the GPU.  Sourced, and exported: every part is a process of its own.  0: well; 77:
# cannot be done here, with the reason as the last line; anything else: failed.
# shellcheck shell=bash disable=SC2154 # variables are check.sh's

# Ends the part when there is no GPU.
need_gpu() {
    local text
    text=$("$weir" info | grep '^device *cuda') || exit 1
    [[ $text != *": 0"* ]] || {
        text=${text#*: 0, }
        printf '%s\n' "${text%%: use --device*}"
        exit 77
    }
}

# test_program NAME: real, or on the stand-in
test_program() {
    case $rehearse$1 in
    0rows | 0vector | 0generation) echo "$build/tests/stand_ins/cuda_on_cpu/test_cuda_$1_gpu" ;;
    1rows | 1vector | 1generation) echo "$build/tests/stand_ins/fake_cuda/test_fake_$1" ;;
    0device*) echo "$build/tests/test_$1" ;;
    1device*) echo "$build/tests/stand_ins/fake_cuda/test_fake_$1" ;;
    esac
}

# ---- building ----------------------------------------------------------------------------------------------------------
part_build() {
    local architectures=native
    [ "$rehearse" -eq 0 ] || {
        printf 'stand-in, no GPU: nothing to build\n'
        exit 77
    }
    nvidia-smi >/dev/null 2>&1 || architectures='90-real;80-virtual'
    # shellcheck disable=SC2086 # several options
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DWEIR_CUDA=ON -DWEIR_ONEDNN=OFF \
        "$(mpi_option)" "-DCMAKE_CUDA_ARCHITECTURES=${WEIR_GPU_ARCHITECTURES:-$architectures}" $nccl_options &&
        cmake --build "$build" --target weir test_cuda_rows_gpu test_cuda_vector_gpu test_cuda_generation_gpu \
            test_device test_device_graphs test_device_kinds
}

mpi_option() {
    pkg-config --exists mpi-c || pkg-config --exists ompi-c && echo -DWEIR_MPI=ON || echo -DWEIR_MPI=AUTO
}

# The kernels and the device on the processor, with this machine's compiler.
part_processor() {
    local names=(test_emulation test_fake_device test_fake_device_graphs)
    local what
    for what in rows vector generation; do names+=("test_cuda_$what" "test_fake_$what"); done
    [ "$rehearse" -eq 1 ] || cmake --build "$build" --target "${names[@]}" || exit 1
    ctest --test-dir "$build" --output-on-failure -R \
        '^(cuda_rows|cuda_vector|cuda_generation|emulation|fake_(device.*|rows|vector|generation))$'
}

# ---- one process -------------------------------------------------------------------------------------------------------

# Every row and every vector kernel against the CPU's, on the device.
part_rows() {
    need_gpu
    "$(test_program rows)" && "$(test_program vector)" && "$(test_program generation)"
}

part_device() {
    need_gpu
    "$(test_program device)" && "$(test_program device_graphs)" || exit 1
    [ "$rehearse" -eq 1 ] || "$(test_program device_kinds)"
}

# What all trainings share; a smaller model, and few and short steps in a rehearsal.
base() {
    local size="--model gpt2-tiny --steps 20"
    [ "$rehearse" -eq 0 ] || size="--model $(small_model) --steps 2 --seq-len 8 --microbatch-size 1"
    echo "train --data $root/docs/training.md --microbatches 4 --seed 7 --quiet $size"
}

small_model() {
    printf '{"model_type": "gpt2", "n_embd": 32, "n_head": 2, "n_layer": 2, "n_positions": 64, "vocab_size": 256}' >"$out/small.json"
    echo "$out/small.json"
}

reported() {
    grep -o '"loss": *[^,}]*' "$out/metrics.json"
}

# losses DEVICE STAGES SCHEDULE [OPTION..]: what every step reports, exactly
losses() {
    rm -f "$out/metrics.json"
    # shellcheck disable=SC2046 # several words
    "$weir" $(base) --transport local --device "$1" --stages "$2" --schedule "$3" --metrics "$out/metrics.json" "${@:4}" &&
        reported
}

# same WHAT ONE OTHER, near WHAT TOLERANCE ONE OTHER: end the part when they are not
same() {
    printf '%s:\n%s\n' "$1" "$3"
    [[ -n $2 && $2 == "$3" ]] || {
        printf 'wanted:\n%s\n' "$2"
        exit 1
    }
}

near() {
    printf '%s, within %s:\n' "$1" "$2"
    paste <(printf '%s\n' "$3") <(printf '%s\n' "$4") | sed 's/"loss": *//g' | awk -v tolerance="$2" '
        { print; d = $1 - $2; if (d < 0) d = -d; if (NF != 2 || d > tolerance * $1) bad = 1 }
        END { exit bad || NR == 0 }' || exit 1
}

# each_layout COMMAND LAYOUT..: run it with each, with the first alone in a rehearsal
each_layout() {
    local command=$1 layout
    shift
    for layout in "$@"; do
        $command "$layout"
        [ "$rehearse" -eq 0 ] || return 0
    done
}

layout_is_one() {
    local other
    # shellcheck disable=SC2086 # a layout is several words
    other=$(losses cuda:0 $1) || exit 1
    same "layout $1" "$one" "$other"
}

part_exactness() {
    need_gpu
    local one
    one=$(losses cuda:0 1 gpipe) || exit 1
    each_layout layout_is_one "4 zb-h1" "2 1f1b" "4 1f1b" "4 gpipe" "2 1f1b --recompute full"
}

part_near_the_cpu() {
    need_gpu
    near "cpu and cuda" 1e-3 "$(losses cpu 1 gpipe)" "$(losses cuda:0 1 gpipe)"
}

part_tf32() {
    need_gpu
    near "f32 and tf32" 1e-2 "$(losses cuda:0 1 gpipe)" "$(losses cuda:0 2 1f1b --dtype tf32)"
}

part_bf16() {
    need_gpu
    local one
    one=$(losses cuda:0 1 gpipe --dtype bf16) || exit 1
    near "f32 and bf16" 2e-2 "$(losses cuda:0 1 gpipe)" "$one"
    same "bf16 on two stages" "$one" "$(losses cuda:0 2 1f1b --dtype bf16)"
}

# A trace to look at; that its times are in order is checked on the stand-in.
part_trace() {
    need_gpu
    losses cuda:0 4 zb-h1 --trace "$out/trace.json" && ! grep -q '"dur": *-' "$out/trace.json"
}

part_profile() {
    need_gpu
    losses cuda:0 2 1f1b --profile 2>"$out/profile.txt" || {
        cat "$out/profile.txt"
        exit 1
    }
    cat "$out/profile.txt"
    grep -q '^total .* 100.00 %' "$out/profile.txt"
}

# texts DEVICE STAGES: of a model that a few steps of training have made sure of its next byte
texts() {
    "$weir" generate --init-from "$out/model" --prompt 'A schedule is ' --tokens 40 --samples 2 --quiet --device "$1" --stages "$2"
}

# The CPU's greedy texts, on any number of stages.
part_generation() {
    need_gpu
    local one other stages
    rm -rf "$out/model"
    losses cuda:0 2 1f1b --export "$out/model" >/dev/null && one=$(texts cpu 1) || exit 1
    for stages in 1 3; do
        other=$(texts cuda:0 "$stages") || exit 1
        same "$stages stages on a GPU" "$one" "$other"
    done
}

# ---- several processes -------------------------------------------------------------------------------------------------

need_nccl() {
    need_gpu
    "$weir" info | grep -q '^transport *nccl' || {
        printf 'the build has no transport nccl (NCCL: %s; Open MPI: %s)\n' "$nccl_where" "$(command -v mpirun || echo none)"
        exit 1
    }
}

# ranks N COMMAND..: as N processes that share the GPU.  NCCL takes two ranks on one GPU for a mistake, unless they say that
# they are on different hosts; then it talks through sockets.  Small buffers, so that all of its kernels fit at once.
ranks() {
    local n=$1
    shift
    export NCCL_NET=Socket NCCL_IB_DISABLE=1 NCCL_SOCKET_IFNAME=lo NCCL_NVLS_ENABLE=0 NCCL_MNNVL_ENABLE=0 NCCL_CUMEM_ENABLE=0 \
        NCCL_MAX_NCHANNELS=2 NCCL_BUFFSIZE=1048576 NCCL_RAS_ENABLE=0
    # shellcheck disable=SC2016 # of the process
    bash "$root/tests/support/mpi.sh" "$n" bash -c 'NCCL_HOSTID=host$OMPI_COMM_WORLD_RANK exec "$@"' rank "$@"
}

# rank_losses N DEVICE TRANSPORT [OPTION..]: of N processes
rank_losses() {
    rm -f "$out/metrics.json"
    # shellcheck disable=SC2046 # several words
    ranks "$1" "$weir" $(base) --device "$2" --transport "$3" --metrics "$out/metrics.json" "${@:4}" && reported
}

# nccl_losses N [OPTION..]: of N processes on one GPU
nccl_losses() {
    rank_losses "$1" cuda:0 nccl "${@:2}"
}

# That processes meet at all, without a GPU.
part_mpi() {
    local one
    one=$(losses cpu 2 1f1b --steps 2) || exit 1
    same "two processes on cpu" "$one" "$(rank_losses 2 cpu mpi --stages 2 --steps 2)"
}

ranks_are_one() {
    local other
    # shellcheck disable=SC2086 # a layout is several words
    other=$(nccl_losses $1) || exit 1
    same "processes, stages: $1" "$one" "$other"
}

# Processes report the losses of one stage in one process.
part_nccl_2() {
    need_nccl
    local one
    one=$(losses cuda:0 1 gpipe) || exit 1
    each_layout ranks_are_one "2 --stages 2" "2 --stages 4 --schedule interleaved --chunks 2" "2 --stages 4 --schedule zbv"
}

part_nccl_4() {
    need_nccl
    local one
    one=$(losses cuda:0 1 gpipe) || exit 1
    each_layout ranks_are_one "4 --stages 4" "4 --stages 4 --schedule zb-h1"
}

replicas_are_near() {
    local first again
    # shellcheck disable=SC2086 # a layout is several words
    first=$(nccl_losses $1) && again=$(nccl_losses $1) || exit 1
    near "one process and $1" 1e-4 "$one" "$first"
    same "$1 again" "$first" "$again"
}

# NCCL adds in an order of its own: near what one process computes, and the same every time.
part_nccl_replicas() {
    need_nccl
    local one
    one=$(losses cuda:0 1 gpipe --replicas 2) || exit 1
    each_layout replicas_are_near "4 --stages 2 --replicas 2 --zero 1" "2 --stages 1 --replicas 2"
}

# The process that is left says that it has lost its peer.
part_nccl_death() {
    need_nccl
    rm -f "$out"/{metrics.json,left}
    cat >"$out/victim" <<'END'
#!/bin/bash
# victim OUT COMMAND..: as rank 1 it is killed when a step is reported, as rank 0 it writes down how it ended
out=$1
shift
if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then
    ( for _ in $(seq 400); do [ -s "$out/metrics.json" ] && break || sleep 0.05; done; kill -KILL $$ ) &
    exec "$@"
fi
trap '' TERM
"$@"
echo $? >"$out/left"
END
    chmod +x "$out/victim"
    # shellcheck disable=SC2046 # several words
    MPI_ARGS=--enable-recovery ranks 2 "$out/victim" "$out" "$weir" $(base) --device cuda:0 --transport nccl --stages 2 \
        --steps 1000000 --metrics "$out/metrics.json"
    printf 'the process that is left ended with status %s\n' "$(cat "$out/left")"
    [ "$(cat "$out/left")" = 4 ]
}

# ---- compute-sanitizer -------------------------------------------------------------------------------------------------

# sanitizer TOOL [OPTION..] PROGRAM..
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
    WEIR_ROWS_SMALL=1 sanitizer "$1" "$(test_program rows)" && WEIR_ROWS_SMALL=1 sanitizer "$1" "$(test_program vector)" &&
        sanitizer "$1" "$(test_program generation)"
}

one_step() {
    echo "$(base) --steps 1 --microbatches 2 --seq-len 16 --microbatch-size 1 --device cuda:0 --stages 2"
}

# step_under TOOL: one step of training
step_under() {
    # shellcheck disable=SC2046 # several words
    sanitizer "$1" "$weir" $(one_step) --transport local
}

part_rows_memcheck() { rows_under memcheck; }
part_rows_racecheck() { rows_under racecheck; }
part_memcheck() { step_under memcheck; }
part_racecheck() { step_under racecheck; }
part_synccheck() { step_under synccheck; }

# NCCL tries calls that may fail, to see what a machine can do: those are no errors.
part_nccl_memcheck() {
    need_nccl
    # shellcheck disable=SC2016,SC2046 # of the process; several words
    ranks 2 bash -c 'sanitizer memcheck --report-api-errors no "$@"' step "$weir" $(one_step) --transport nccl
}
