#!/usr/bin/env bats
# weir bench kernels and weir bench train, and the flops in metrics: what is printed; the times are the machine's.   labels: slow
# (with the address sanitizer: kernels take 15 times as long there)
bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
}

@test "bench kernels has every pass of every operation of the model once, beside ceilings of the run" {
    run -0 --separate-stderr "$WEIR" bench kernels --seq-len 8 --microbatch-size 1 --milliseconds 1
    [[ "$output" == *"gpt2-tiny in f32: "*"ceilings of this run: f32 product "*" GFLOP/s, triad "*" GB/s, copy "*" GB/s"* ]]
    for row in "linear +forward +1 x 8 x 128 to 384 +6 " "linear +backward_weight +1 x 8 x 128 to 256 +1 " \
        "attention +backward_input +1 x 8 x 384 +6 " "cross_entropy +forward +1 x 8 x 256 +1 " "adamw +update +8388608 +0 "; do
        [ "$(grep -cE "^$row" <<<"$output")" -eq 1 ]
    done
    run -2 --separate-stderr "$WEIR" bench kernels atention --milliseconds 1
    [[ "$stderr" == *"gpt2-tiny has no operation 'atention'"* ]]
    run -2 --separate-stderr "$WEIR" bench kernels linear adamm --milliseconds 1
    [[ "$stderr" == *"gpt2-tiny has no operation 'adamm'"* && -z "$output" ]]
    run -2 --separate-stderr "$WEIR" bench kernels to_bf16 --milliseconds 1
    [[ "$stderr" == *"gpt2-tiny has no operation 'to_bf16'"* ]]
    run -2 --separate-stderr "$WEIR" bench train --recompute h.0.mlp,none --steps 1
    [[ "$stderr" == "weir bench train: 'none' of the layers to recompute stands alone: leave the other names out" ]]
}

@test "bench kernels gives its figures as JSON" {
    run -0 --separate-stderr "$WEIR" bench kernels relu linear --model mlp --milliseconds 1 --json
    "$JSON_GET" ceilings.product_flops_per_s ceilings.triad_bytes_per_s ceilings.copy_bytes_per_s rows.0.median_us rows.0.of_ceiling \
        <<<"$output" | awk '!($1 > 0) { exit 1 }'
    [[ "$output" == *'"operation": "relu"'* && "$output" != *'"operation": "adamw"'* ]]
}

# of ROW FIELD: a figure of row number ROW of the last result
of() {
    "$JSON_GET" "rows.$1.$2" <<<"$output"
}

@test "bench kernels in bf16 has values of half the bytes, gradients of f32, and the copies of parameters" {
    local row small=(--seq-len 8 --microbatch-size 1 --milliseconds 1)
    run -0 --separate-stderr "$WEIR" bench kernels linear "${small[@]}" --dtype bfloat16 --json
    [[ "$output" == *'"dtype": "bf16"'*'"product_dtype": "'@(f32|bf16)'"'*'"pass": "forward", "shape": "1 x 8 x 128 to 384"'* ]]
    for row in 0 1 2; do
        awk -v t="$(of $row median_us)" 'BEGIN { exit !(t > 0) }'
    done
    [ "$(of 0 bytes)" = "$((2 * (8 * 128 + 128 * 384 + 384 + 8 * 384)))" ]
    [ "$(of 2 bytes)" = "$((2 * (8 * 128 + 8 * 384) + 4 * (128 * 384 + 384)))" ]
    run -0 --separate-stderr "$WEIR" bench kernels "${small[@]}" --dtype bf16
    [[ "$output" == *"gpt2-tiny in bf16: "*"f32 product "* || "$output" == *"gpt2-tiny in bf16: "*"bf16 product "* ]]
    [ "$(grep -cE "^(embedding|layer_norm|linear|gelu|attention|cross_entropy) " <<<"$output")" -ge 17 ]
    [ "$(grep -cE "^to_bf16 +update +8388608 +0 " <<<"$output")" -eq 1 ]
    run -2 "$WEIR" bench kernels to_bf16 "${small[@]}"
}

@test "bench kernels in bf16 has a ceiling where the processor has no bf16 products" {
    ONEDNN_MAX_CPU_ISA=AVX2 run -0 --separate-stderr "$WEIR" bench kernels relu --model mlp --dtype bf16 --milliseconds 1 --json
    "$JSON_GET" ceilings.product_flops_per_s rows.0.median_us <<<"$output" | awk '!($1 > 0) { exit 1 }'
    [[ "$output" == *'"product_dtype": "'@(f32|bf16)'"'* ]]
}

@test "a dtype that the benches cannot have is refused as by the other commands" {
    while IFS='|' read -r dtype message; do
        run -2 "$WEIR" bench kernels --dtype "$dtype"
        [[ "$output" == "weir bench kernels: "*"$message"* ]]
        run -2 "$WEIR" bench train --dtype "$dtype"
        [[ "$output" == "weir bench train: "*"$message"* ]]
    done <<'EOF'
tf32|--dtype tf32 is for --device cuda: leave it out
fp16|weir does not compute in 'fp16': use --dtype bf16
f23|unknown dtype 'f23': it is one of f32, tf32, bf16
EOF
}

@test "bench train cuts a step into instructions, operations and waiting, and knows the flops of the model" {
    run -0 --separate-stderr "$WEIR" bench train --microbatches 4 --seq-len 64 --steps 2 --warm-up 1
    for part in "F " "B " "optimizer " "linear +backward_weight " "hand-over " "waiting "; do
        grep -qE "^$part +[0-9.]+ +[0-9.]+ %|^$part" <<<"$output"
    done
    [[ "$output" == *"8.053e+09 of the model in a step"* ]]
    run -0 --separate-stderr "$WEIR" bench train zb-h1 --microbatches 4 --steps 2 --peak-flops 1e9 --json
    "$JSON_GET" step_ms tokens_per_s mfu roofline_ms ceilings.product_flops_per_s <<<"$output" | awk '!($1 > 0) { exit 1 }'
    [ "$("$JSON_GET" flops <<<"$output")" = 8053063680 ]
    sum=$(grep -o '"ms": [0-9.e+-]*, "flops"' <<<"$output" | awk '{ n += $2 } END { print n }')
    "$JSON_GET" mean_ms optimizer_ms hand_over_ms waiting_ms <<<"$output" |
        awk -v ops="$sum" '{ x[NR] = $1 } END { d = (x[2] + x[3] + x[4] + ops) / x[1] / 2; exit d < 0.999 || d > 1.001 }'
    "$JSON_GET" flops step_ms mfu <<<"$output" | awk '{ x[NR] = $1 } END { d = x[1] / x[2] * 1000 / 1e9 / x[3]; exit d < 0.999 || d > 1.001 }'
    run -2 "$WEIR" bench train zbq
    [[ "$output" == *"did you mean 'zbv'?"* ]]
}

@test "bench train takes the schedule of a file as the one of its name, and says what contradicts it" {
    local same=(--seq-len 8 --steps 1 --warm-up 0 --json)
    "$WEIR" schedule make zb-h1 -p 2 -m 4 >own.csv
    run -0 --separate-stderr "$WEIR" bench train zb-h1 --microbatches 4 "${same[@]}"
    named=$("$JSON_GET" loss flops <<<"$output")
    run -0 --separate-stderr "$WEIR" bench train own.csv "${same[@]}"
    [ "$("$JSON_GET" loss flops <<<"$output")" = "$named" ]
    [[ "$output" == *'"schedule": "own.csv", "'* ]]
    [ "$("$JSON_GET" ranks chunks microbatches <<<"$output" | tr '\n' ' ')" = "2 1 4 " ]
    printf '0F0,2F0,2B0,0B0\n1F0,1B0\n' >uneven.csv
    run -0 --separate-stderr "$WEIR" bench train uneven.csv "${same[@]}"
    [[ "$output" == *'"ranks": 2, "stages": 3, "chunks": null, '* ]]
    "$WEIR" schedule make seq1f1b -p 2 -m 4 --slices 2 >slices.csv
    run -0 --separate-stderr "$WEIR" bench train slices.csv "${same[@]}"
    [ "$("$JSON_GET" microbatches flops <<<"$output" | tr '\n' ' ')" = "4 ${named##*$'\n'} " ]
    while IFS='|' read -r options message; do
        run -2 "$WEIR" bench train $options
        [ "$output" = "weir bench train: $message" ]
    done <<'EOF'
own.csv --ranks 3|'own.csv' has 2 ranks, --ranks says 3
own.csv --microbatches 8|'own.csv' has 4 micro-batches, but --microbatches 8 was given
own.csv --chunks 2|'own.csv' has 2 stages on 2 ranks, but --chunks 2 was given
EOF
    run "$WEIR" bench train none.csv
    [ "$status" -ne 0 ]
    [[ "$output" == "weir bench train: "*"'none.csv'"* ]]
}

@test "bench train in bf16 has other losses than in f32, near them, and a roofline" {
    local same=(--microbatches 4 --seq-len 16 --steps 2 --json)
    run -0 --separate-stderr "$WEIR" bench train "${same[@]}"
    [[ "$output" == *'"dtype": "f32"'* ]]
    f32=$("$JSON_GET" loss <<<"$output")
    run -0 --separate-stderr "$WEIR" bench train "${same[@]}" --dtype bf16
    [[ "$output" == *'"dtype": "bf16"'* ]]
    awk -v a="$f32" -v b="$("$JSON_GET" loss <<<"$output")" 'BEGIN { d = a / b - 1; exit !(d != 0 && d * d < 1e-4) }'
    "$JSON_GET" step_ms mfu roofline_ms ceilings.product_flops_per_s <<<"$output" | awk '!($1 > 0) { exit 1 }'
    run -0 --separate-stderr "$WEIR" bench train --microbatches 4 --seq-len 16 --steps 2 --dtype bf16
    [[ "$output" == *"gpt2-tiny in bf16: 1f1b on 2 ranks"*"all ranks busy: "*" product "* ]]
}

@test "metrics have the flops of a step, and their share of what --peak-flops says" {
    head -c 20000 /dev/zero | tr '\0' x >text
    "$WEIR" train --model gpt2-tiny --data text --steps 2 --quiet --metrics m
    [ "$(grep -c '"flops": 8053063680' m)" -eq 2 ]
    [[ "$(<m)" != *'"mfu"'* ]]
    "$WEIR" train --model gpt2-tiny --data text --steps 2 --quiet --metrics m --force --peak-flops 1e9 --replicas 2
    [ "$(grep -c '"flops": 16106127360' m)" -eq 2 ]
    sed -n 's/.*"step_ms": \([^,]*\),.*"mfu": \([^,]*\),.*/\1 \2/p' m | awk '{ d = 16.10612736 / ($1 / 1000) / $2; n++ } d < 0.999 || d > 1.001 { exit 1 }
        END { exit n != 2 }'
}
