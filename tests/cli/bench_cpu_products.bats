#!/usr/bin/env bats
# bench/bench_cpu_products.c: products of a small model, which are held to Weir's; what it says of libraries it cannot use.
bats_require_minimum_version 1.5.0

bench() {
    "$WEIR_BINARY_DIR/bench/bench_cpu_products" "$@"
}

small() {
    bench --model small --milliseconds 1 --alone "$@"
}

@test "every product of a model has a line with a rate, and so have a step and the cube" {
    run -0 small
    [ "$(grep -cE '^(in, out|out, in) +(forward|dX|dW) .*%$|^(in, out|out, in) +(forward|dX|dW) .*- *$' <<<"$output")" -eq 6 ]
    [[ "$output" == *"in, out   forward  32 x 96, 48 "* ]]
    [[ "$output" == *"in, out   dX       32 x 48, 96 "* ]]
    [[ "$output" == *"in, out   dW       48 x 96, 32 "* ]]
    grep -qE '^cube +64 x 64, 64 +[0-9.]+ +[0-9]+% +[0-9.]+ +[0-9]+%$' <<<"$output"
    grep -qE '^a step of small +[0-9.]+ +[0-9]+% +- *$' <<<"$output"
    [[ "$output" != *wrong* ]]
}

@test "a library that computes rightly is right in every product, with integers of 32 and of 64 bits" {
    run -0 small --blas "$STAND_IN_BLAS" --blas "$STAND_IN_BLAS_WIDE"
    [[ "$output" == *" weir     %         blas     %       blas 2     % "* ]]
    grep -qE '^a step of small( +[0-9.]+ +[0-9]+%){3} +- *$' <<<"$output"
    [[ "$output" != *wrong* ]]
}

@test "a library that computes wrongly gets no figure" {
    WEIR_TEST_BLAS=wrong run -0 small --blas "$STAND_IN_BLAS"
    [ "$(grep -cE '^(in, out|out, in|cube) .* wrong ' <<<"$output")" -eq 7 ]
    grep -qE '^a step of small +[0-9.]+ +[0-9]+% +wrong +- *$' <<<"$output"
    WEIR_TEST_BLAS=wrong run -0 small --blas "$STAND_IN_BLAS" --json
    [[ "$output" == *"weir"* && "$output" != *", blas"* ]]
}

@test "bf16 products are right" {
    run -0 small --dtype bf16
    grep -qE '^a step of small +[0-9.]+ +[0-9]+%$' <<<"$output"
    [[ "$output" != *wrong* ]]
}

@test "a second process does the same on another processor" {
    [ "$(nproc)" -gt 1 ] || skip "one processor"
    run -0 bench --model small --milliseconds 1
    [[ "$output" == *"one thread on processor "*" beside one on "* ]]
}

@test "bench/compare.py takes the result" {
    command -v python3 >/dev/null || skip "python3 is missing"
    small --json >"$BATS_TEST_TMPDIR/a"
    run -0 python3 "$WEIR_SOURCE_DIR/bench/compare.py" "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/a"
    [[ "$output" == *"small out, in, weir dW 48 x 96, 32"*"0 of 8 slower"* ]]
}

@test "what cannot be done is said once, with status 2" {
    run -2 bench --model small --blas /nowhere/libblas.so
    [[ "$output" == "bench_cpu_products: cannot load a BLAS: /nowhere/libblas.so: "* && "${#lines[@]}" -eq 1 ]]
    run -2 bench --model small --blas libm.so.6
    [ "$output" = "bench_cpu_products: 'libm.so.6' has no cblas_sgemm: name the shared library of a BLAS that has C functions" ]
    run -2 bench --dtype bf16 --blas "$STAND_IN_BLAS"
    [ "$output" = "bench_cpu_products: --blas has products of f32 only: leave it out with --dtype bf16" ]
    run -2 bench --modle small
    [ "$output" = "bench_cpu_products: unknown option '--modle': did you mean '--model'?" ]
    run -2 bench --model gpt3
    [ "$output" = "bench_cpu_products: unknown model 'gpt3': did you mean 'gpt2'?" ]
    run -2 bench --milliseconds 0
    [ "$output" = "bench_cpu_products: --milliseconds must be from 1 to 1000000, not '0'" ]
    run -2 bench --blas
    [ "$output" = "bench_cpu_products: --blas needs a value" ]
}
