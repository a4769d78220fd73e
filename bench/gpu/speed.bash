# The parts of check.sh that measure: ceilings of the machine by PyTorch, GPT-2 124M by Weir and by PyTorch, single kernels.
# Sourced.  A figure goes to the report (figure), the rest to the log.
# shellcheck shell=bash disable=SC2154 # variables are check.sh's

need_torch() {
    python3 -c 'import torch' 2>/dev/null || {
        printf 'python3 has no torch\n'
        exit 77
    }
}

# What memory and products can do here, and attention at this model's size.  Needs no Weir.
part_ceilings() {
    need_torch
    limited 20 python3 "$root/bench/gpu/ceilings.py" | tee -a "$out/speed.txt"
    exit "${PIPESTATUS[0]}"
}

# The same model by PyTorch: compiled, with its flash attention.
part_torch() {
    need_torch
    limited 55 python3 "$root/bench/gpu/torch_gpt2.py" | tee -a "$out/speed.txt"
    exit "${PIPESTATUS[0]}"
}

# One training of GPT-2 124M in bf16, 16 samples of 1024 tokens in a micro-batch; a small model in a rehearsal.
gpt2() {
    local size="--model gpt2 --seq-len 1024 --microbatch-size 16 --data $work/tokens.bin"
    [ "$rehearse" -eq 0 ] || size="--model $(small_model) --seq-len 8 --microbatch-size 1 --data $work/tokens.bin"
    # shellcheck disable=SC2086 # several words
    limited "$1" "$weir" train $size --dtype bf16 --microbatches 2 --stages 1 --device cuda:0 --transport local --seed 7 "${@:2}"
}

# Words as frequent as in a language, 4 MB of them.
tokens_make() {
    local words=50257 n=2000000
    [ "$rehearse" -eq 0 ] || words=256 n=2000
    python3 "$root/bench/gpu/tokens.py" "$words" "$n" "$work/tokens.bin"
}

# Tokens per second of the last four steps, and the losses.  Each step is 2 micro-batches.
speed_figures() {
    awk -v name="$1" '
        { for (i = 1; i <= NF; i++) { if ($i == "\"tokens_per_s\":") rate[NR] = $(i + 1) + 0
                                      if ($i == "\"loss\":") loss[NR] = $(i + 1) + 0 } }
        END { if (NR < 2) exit 1
              first = NR > 4 ? NR - 3 : 2
              least = most = rate[first]
              for (k = first; k <= NR; k++) { sum += rate[k]; n++
                                              least = rate[k] < least ? rate[k] : least
                                              most = rate[k] > most ? rate[k] : most }
              printf "%s: %.0f tokens/s (%.0f to %.0f over %d steps), loss %.4f to %.4f\n", name, sum / n, least, most, n, loss[1], loss[NR] }' \
        "$work/speed.json"
}

part_speed() {
    need_gpu
    tokens_make || exit 1
    rm -f "$work/speed.json"
    gpt2 40 --steps 6 --quiet --metrics "$work/speed.json" || exit 1
    local what="weir, gpt2 124M, bf16, 16 x 1024, 2 micro-batches"
    [ "$rehearse" -eq 0 ] || what="weir, a small model on stand-ins"
    figure "$(speed_figures "$what")"
    gpt2 30 --steps 3 --profile >"$work/profile.log" 2>&1 || {
        cat "$work/profile.log"
        exit 1
    }
    sed -n '/steps took/,$p' "$work/profile.log" | tee "$out/profile.txt"
    grep -q '^total .* 100.00 %' "$out/profile.txt"
}

# The algorithms that cuBLASLt names, timed: rows for kernels/cuda/cuda_choices.c.
part_products() {
    need_gpu
    local sizes=(16384 768 50257)
    [ "$rehearse" -eq 0 ] || sizes=(6 4 9)
    limited 30 "$(test_program products)" "${sizes[@]}" | tee "$out/products.txt"
    exit "${PIPESTATUS[0]}"
}

# kernel WORDS REGEX: its second launch, for the first is the one that loads it
kernel() {
    # shellcheck disable=SC2086,SC2034 # several words; over() reads it
    printf '\n==== %s\n' "$1"
    limited 12 ncu --clock-control none --section SpeedOfLight --section Occupancy --section MemoryWorkloadAnalysis \
        --section WarpStateStats --kernel-name "regex:$2" --launch-skip 1 --launch-count 1 \
        "$weir" train --model "$work/layer.json" --data "$work/tokens.bin" --dtype bf16 --microbatches 1 --stages 1 --steps 1 \
        --device cuda:0 --transport local --quiet $layer_size || bad=1
}

# One layer of GPT-2 124M: the kernels' sizes, without the time that the others take.
part_ncu() {
    need_gpu
    command -v ncu >/dev/null || {
        printf 'ncu was not found\n'
        exit 77
    }
    tokens_make || exit 1
    local layer_size="--seq-len 1024 --microbatch-size 16"
    printf '{"model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_layer": 1, "n_positions": 1024, "vocab_size": 50257}' >"$work/layer.json"
    [ "$rehearse" -eq 0 ] || {
        cp "$(small_model)" "$work/layer.json"
        layer_size="--seq-len 8 --microbatch-size 1"
    }
    {
        kernel "attention forward" attention_kernel
        [ "$rehearse" -eq 1 ] || {
            kernel "attention d_q" d_q_kernel
            kernel "attention d_kv" d_kv_kernel
            kernel "cross-entropy" cross_entropy_kernel
            kernel "layer norm" norm_kernel
            kernel "a product" 'nvjet|gemm|cutlass'
        }
    } >"$out/ncu.txt" 2>&1
    cat "$out/ncu.txt"
    over
}
