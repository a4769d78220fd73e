# The parts of check.sh: what is run on the GPU.  Sourced, and exported: every part is a process of its own.  0: well; 77:
# cannot be done here, with the reason as the last line; anything else: failed.
# shellcheck shell=bash disable=SC2154 # variables are check.sh's

# Ends the part when there is no GPU.
need_gpu() {
    local text
    text=$("$weir" info | grep '^device *cuda') || exit 1
    [[ $text != *": 0"* ]] || {
        text=${text#*: 0, }
        printf '%s\n' "${text%%: use *}"
        exit 77
    }
}

# limited SECONDS COMMAND..: a process that hangs ends before its part does
limited() {
    timeout --kill-after=2 $(($1 * slow)) "${@:2}"
}

# test_program NAME: real, or on the stand-in
test_program() {
    local folder=${built_bin:-}
    case $rehearse$1 in
    0products) echo "${folder:-$build/bench}/bench_products" ;;
    1products) echo "$build/tests/stand_ins/fake_cuda/bench_products_fake" ;;
    0device*) echo "${folder:-$build/tests}/test_$1" ;;
    0*) echo "${folder:-$build/tests/stand_ins/cuda_on_cpu}/test_cuda_$1_gpu" ;;
    1*) echo "$build/tests/stand_ins/fake_cuda/test_fake_$1" ;;
    esac
}

# ---- the machine and the build -------------------------------------------------------------------------------------------

# What the machine is; nothing of it must be there.
part_env() {
    nvidia-smi -q 2>/dev/null | grep -E 'Product Name|Driver Version|CUDA Version|Total  |Graphics  |SM  |Memory  |ECC Mode|Current  |Link|Gen' |
        head -n 60
    nvcc --version 2>/dev/null | tail -n 2
    PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep -E 'libcublasLt|libnccl|libcudart|libcudnn[.]|libcuda[.]'
    echo "LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}"
    python3 --version
    python3 -c 'import torch; print("torch", torch.__version__, "cudnn", torch.backends.cudnn.version())' 2>&1 | tail -n 1
    uname -a
    ldd --version | head -n 1
    nproc
    free -m | head -n 2
    df -h /dev/shm | tail -n 1
    ulimit -l
    ls /sys/class/net
    [ ! -e "$work/built.log" ] || { [ -n "$built_bin" ] || { echo "what came along does not start:"; cat "$work/built.log"; }; }
    [ ! -x "$weir" ] || "$weir" info
    return 0
}

build_run() {
    local architectures=native
    nvidia-smi >/dev/null 2>&1 && cmake --version >/dev/null || architectures='90-real;80-virtual'
    # shellcheck disable=SC2086 # several options
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DWEIR_CUDA=ON -DWEIR_ONEDNN=OFF \
        "$(mpi_option)" "-DCMAKE_CUDA_ARCHITECTURES=${WEIR_GPU_ARCHITECTURES:-$architectures}" $nccl_options &&
        cmake --build "$build" --target weir test_cuda_rows_gpu test_cuda_vector_gpu test_cuda_generation_gpu \
            test_cuda_logits_gpu test_device test_device_graphs test_device_kinds bench_products
}

# In the background, as long as the part of it may take.
build_begin() {
    rm -f "$work/build.status"
    (
        timeout --kill-after=5 $((170 * slow)) bash -c build_run >"$work/build.log" 2>&1
        echo $? >"$work/build.status"
    ) &
}

part_build() {
    [ "$rehearse" -eq 0 ] || {
        printf 'stand-in, no GPU: nothing to build\n'
        exit 77
    }
    [ -z "$built_bin" ] || {
        printf 'taken from %s\n' "$built_bin"
        exit 0
    }
    while [ ! -e "$work/build.status" ]; do sleep 0.5; done
    cat "$work/build.log"
    exit "$(cat "$work/build.status")"
}

mpi_option() {
    pkg-config --exists mpi-c || pkg-config --exists ompi-c && echo -DWEIR_MPI=ON || echo -DWEIR_MPI=AUTO
}

# ---- one process -------------------------------------------------------------------------------------------------------

# Every row and every vector kernel against the CPU's, on the device: all of them, whatever fails.
part_rows() {
    need_gpu
    local bad=0 what
    for what in rows vector generation; do
        WEIR_ROWS_ALL=1 limited 20 "$(test_program "$what")" || bad=1
    done
    exit $bad
}

part_device() {
    need_gpu
    local bad=0 what
    for what in device device_graphs; do
        limited 10 "$(test_program "$what")" || bad=1
    done
    [ "$rehearse" -eq 1 ] || limited 5 "$(test_program device_kinds)" || bad=1
    exit $bad
}

# What all trainings share; a smaller model, and few and short steps in a rehearsal.
base() {
    local size="--model gpt2-tiny --steps 20"
    [ "$rehearse" -eq 0 ] || size="--model $(small_model) --steps 2 --seq-len 8 --microbatch-size 1"
    echo "train --data $root/docs/training.md --microbatches 4 --seed 7 --quiet $size"
}

small_model() {
    printf '{"model_type": "gpt2", "n_embd": 32, "n_head": 2, "n_layer": 2, "n_positions": 64, "vocab_size": 256}' >"$work/small.json"
    echo "$work/small.json"
}

reported() {
    grep -o '"loss": *[^,}]*' "$work/metrics.json"
}

# losses DEVICE STAGES SCHEDULE [OPTION..]: what every step reports, exactly
losses() {
    rm -f "$work/metrics.json"
    # shellcheck disable=SC2046 # several words
    limited 15 "$weir" $(base) --transport local --device "$1" --stages "$2" --schedule "$3" --metrics "$work/metrics.json" "${@:4}" &&
        reported
}

# same WHAT ONE OTHER, near WHAT TOLERANCE ONE OTHER: what is not is told, and the part goes on; over() ends it
over() {
    exit "${bad:-0}"
}

same() {
    printf '%s:\n%s\n' "$1" "$3"
    [[ -n $2 && $2 == "$3" ]] || {
        printf 'wanted:\n%s\n' "$2"
        bad=1
    }
}

near() {
    printf '%s, within %s:\n' "$1" "$2"
    paste <(printf '%s\n' "$3") <(printf '%s\n' "$4") | sed 's/"loss": *//g' | awk -v tolerance="$2" '
        { d = $1 - $2; if (d < 0) d = -d; if (NF != 2 || d > tolerance * $1) bad = 1; print $0, "apart", d }
        END { exit bad || NR == 0 }' || {
        printf 'not near\n'
        bad=1
    }
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
    other=$(losses cuda:0 $1)
    same "layout $1" "$one" "$other"
}

part_exactness() {
    need_gpu
    local one
    one=$(losses cuda:0 1 gpipe) || exit 1
    each_layout layout_is_one "2 1f1b" "4 zb-h1" "4 1f1b" "4 gpipe" "2 1f1b --recompute full"
    over
}

part_near_the_cpu() {
    need_gpu
    near "cpu and cuda" 1e-3 "$(losses cpu 1 gpipe)" "$(losses cuda:0 1 gpipe)"
    over
}

part_tf32() {
    need_gpu
    near "f32 and tf32" 1e-2 "$(losses cuda:0 1 gpipe)" "$(losses cuda:0 2 1f1b --dtype tf32)"
    over
}

part_bf16() {
    need_gpu
    local one
    one=$(losses cuda:0 1 gpipe --dtype bf16) || exit 1
    near "f32 and bf16" 2e-2 "$(losses cuda:0 1 gpipe)" "$one"
    same "bf16 on two stages" "$one" "$(losses cuda:0 2 1f1b --dtype bf16)"
    over
}

# A trace to look at; that its times are in order is checked on the stand-in.
part_trace() {
    need_gpu
    losses cuda:0 4 zb-h1 --trace "$work/trace.json" && ! grep -q '"dur": *-' "$work/trace.json"
}

# texts DEVICE STAGES: of a model that a few steps of training have made sure of its next byte
texts() {
    limited 10 "$weir" generate --init-from "$work/model" --prompt 'A schedule is ' --tokens 40 --samples 2 --quiet --device "$1" --stages "$2"
}

# The CPU's logits, on any number of stages.  Its greedy text is shown beside: a tie may break another way.
part_generation() {
    need_gpu
    limited 10 "$(test_program logits)" || bad=1
    rm -rf "$work/model"
    losses cuda:0 2 1f1b --export "$work/model" >/dev/null || bad=1
    printf 'on the processor:\n%s\n' "$(texts cpu 1)"
    local stages
    for stages in 1 3; do
        printf '%d stages on a GPU:\n%s\n' "$stages" "$(texts cuda:0 "$stages")"
    done
    over
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
        NCCL_MAX_NCHANNELS=2 NCCL_BUFFSIZE=1048576 NCCL_RAS_ENABLE=0 NCCL_DEBUG=${NCCL_DEBUG:-WARN} NCCL_DEBUG_FILE=$work/nccl.%p.txt
    # shellcheck disable=SC2016 # of the process
    MPI_TIMEOUT=$((20 * slow)) bash "$root/tests/support/mpi.sh" "$n" bash -c 'NCCL_HOSTID=host$OMPI_COMM_WORLD_RANK exec "$@"' rank "$@"
}

# rank_losses N DEVICE TRANSPORT [OPTION..]: of N processes
rank_losses() {
    rm -f "$work/metrics.json"
    # shellcheck disable=SC2046 # several words
    ranks "$1" "$weir" $(base) --device "$2" --transport "$3" --metrics "$work/metrics.json" "${@:4}" && reported
}

# nccl_losses N [OPTION..]: of N processes on one GPU; five steps, for each message takes a turn of the GPU
nccl_losses() {
    rank_losses "$1" cuda:0 nccl --steps 5 "${@:2}"
}

# What NCCL itself said goes with the figures.
nccl_over() {
    cat "$work"/nccl.*.txt >>"$out/nccl.txt" 2>/dev/null
    rm -f "$work"/nccl.*.txt
    over
}

# That processes meet at all, without a GPU.
part_mpi() {
    local one
    one=$(losses cpu 2 1f1b --steps 2) || exit 1
    same "two processes on cpu" "$one" "$(rank_losses 2 cpu mpi --stages 2 --steps 2)"
    over
}

ranks_are_one() {
    local other
    # shellcheck disable=SC2086 # a layout is several words
    other=$(nccl_losses $1)
    same "processes, stages: $1" "$one" "$other"
}

# Processes report the losses of one stage in one process.
part_nccl_2() {
    need_nccl
    local one
    one=$(losses cuda:0 1 gpipe --steps 5) || exit 1
    each_layout ranks_are_one "2 --stages 2" "2 --stages 4 --schedule zbv" "2 --stages 4 --schedule interleaved --chunks 2"
    nccl_over
}

part_nccl_4() {
    need_nccl
    local one
    one=$(losses cuda:0 1 gpipe --steps 5) || exit 1
    each_layout ranks_are_one "4 --stages 4" "4 --stages 4 --schedule zb-h1"
    nccl_over
}

replicas_are_near() {
    local first again
    # shellcheck disable=SC2086 # a layout is several words
    first=$(nccl_losses $1)
    # shellcheck disable=SC2086
    again=$(nccl_losses $1)
    near "one process and $1" 1e-4 "$one" "$first"
    same "$1 again" "$first" "$again"
}

# NCCL adds in an order of its own: near what one process computes, and the same every time.
part_nccl_replicas() {
    need_nccl
    local one
    one=$(losses cuda:0 1 gpipe --replicas 2 --steps 5) || exit 1
    each_layout replicas_are_near "2 --stages 1 --replicas 2" "4 --stages 2 --replicas 2 --zero 1"
    nccl_over
}

# The process that is left says that it has lost its peer.
part_nccl_death() {
    need_nccl
    rm -f "$work"/{metrics.json,left}
    cat >"$work/victim" <<'END'
#!/bin/bash
# victim FOLDER COMMAND..: as rank 1 it is killed when a step is reported, as rank 0 it writes down how it ended
folder=$1
shift
if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then
    ( for _ in $(seq 400); do [ -s "$folder/metrics.json" ] && break || sleep 0.05; done; kill -KILL $$ ) &
    exec "$@"
fi
trap '' TERM
"$@"
echo $? >"$folder/left"
END
    chmod +x "$work/victim"
    # shellcheck disable=SC2046 # several words
    MPI_ARGS=--enable-recovery ranks 2 "$work/victim" "$work" "$weir" $(base) --device cuda:0 --transport nccl --stages 2 \
        --steps 1000000 --metrics "$work/metrics.json"
    printf 'the process that is left ended with status %s\n' "$(cat "$work/left")"
    [ "$(cat "$work/left")" = 4 ]
}

# ---- compute-sanitizer -------------------------------------------------------------------------------------------------

# sanitizer TOOL [OPTION..] PROGRAM..
sanitizer() {
    need_gpu
    command -v compute-sanitizer >/dev/null || {
        printf 'compute-sanitizer was not found\n'
        exit 77
    }
    limited 45 compute-sanitizer --tool "$1" --error-exitcode 1 "${@:2}"
}

# rows_under TOOL: without the larger cases, under which these tools take minutes
rows_under() {
    local what
    for what in rows vector generation; do
        WEIR_ROWS_ALL=1 WEIR_ROWS_SMALL=1 sanitizer "$1" "$(test_program "$what")" || bad=1
    done
    over
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
