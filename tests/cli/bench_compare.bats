#!/usr/bin/env bats
# bench/compare.py: what it calls slower.   labels: pure
bats_require_minimum_version 1.5.0

setup() {
    command -v python3 >/dev/null || skip "python3 is missing"
    cd "$BATS_TEST_TMPDIR" || exit 1
    compare=$WEIR_SOURCE_DIR/bench/compare.py
}

# kernels FASTEST MEDIAN: a result of one pass, in us
kernels() {
    printf '{"rows": [{"operation": "linear", "pass": "forward", "shape": "8 to 8", "fastest_us": %s, "median_us": %s}]}\n' "$@"
}

# in_dtype DTYPE FASTEST MEDIAN: the same, with the dtype named
in_dtype() {
    kernels "${@:2}" | sed "s/^{/{\"dtype\": \"$1\", /"
}

@test "a pass that is slower than the noise of both runs is said to be, with exit status 1" {
    kernels 100 110 >a
    kernels 120 125 >b
    run -1 python3 "$compare" a b
    [[ "$output" == *"linear forward 8 to 8"*"1.136  slower"*"1 of 1 slower, 0 faster"* ]]
    run -0 python3 "$compare" b a
    [[ "$output" == *"0.880  faster"* ]]
}

@test "what lies within the noise, or within the limit, is no change" {
    kernels 100 110 >a
    kernels 105 125 >b
    run -0 python3 "$compare" a b
    [[ "$output" == *"0 of 1 slower, 0 faster"* ]]
    kernels 120 125 >b
    run -0 python3 "$compare" a b --limit 20
    kernels 108 122 >c
    run -0 python3 "$compare" a,c b
}

@test "turns of peers count where nobody disturbed them" {
    turns() {
        printf '{"runs": ['
        for t in 1 2 3; do
            printf '{"model": "m", "dtype": "f32", "isa": null, "contender": "weir 1f1b", "turn": %d, "warm_up": 1, "others": 0.01, "times_ms": [900, %d, %d]},' \
                $t $(($1 + t)) $(($1 + t))
        done
        printf '{"model": "m", "dtype": "f32", "isa": null, "contender": "weir 1f1b", "turn": 4, "warm_up": 0, "others": 0.5, "times_ms": [9999]}]}\n'
    }
    turns 100 >a
    turns 200 >b
    run -1 python3 "$compare" a b
    [[ "$output" == *"m f32, weir 1f1b"*" 102 "*" 202 "*"slower"* ]]
    run -0 python3 "$compare" a a
}

@test "steps of bench train are compared by operation" {
    "$WEIR" bench train --microbatches 2 --steps 2 --seq-len 8 --json >a
    run -0 python3 "$compare" a a
    [[ "$output" == *"step "* && "$output" == *"linear backward_weight "* ]]
    "$WEIR" bench train --microbatches 2 --steps 2 --seq-len 8 --dtype bf16 --json >b
    run -2 python3 "$compare" a b
    [[ "$output" == *"'a' is of gpt2-tiny in f32 and 'b' is of gpt2-tiny in bf16"* ]]
    sed 's/"model": "gpt2-tiny"/"model": "llama-tiny"/' a >c
    run -2 python3 "$compare" a c
    [[ "$output" == *"'c' is of llama-tiny in f32: take results of one --model and --dtype" ]]
}

@test "results of two dtypes are not compared, and a result that names none is of f32" {
    kernels 100 110 >old
    in_dtype f32 100 110 >f32
    in_dtype bf16 50 55 >bf16
    run -0 python3 "$compare" old f32
    run -0 python3 "$compare" bf16 bf16
    run -2 python3 "$compare" f32 bf16
    [ "$output" = "compare: 'f32' is of f32 and 'bf16' is of bf16: take results of one --model and --dtype" ]
    run -2 python3 "$compare" old,bf16 f32
    [[ "$output" == *"'old' is of f32 and 'bf16' is of bf16"* ]]
}

@test "results of two sizes, schedules or numbers of threads are not compared" {
    "$WEIR" bench train 1f1b --microbatches 2 --steps 1 --seq-len 8 --json >a
    for other in 's/"schedule": "1f1b"/"schedule": "gpipe"/' 's/"ranks": 2/"ranks": 4/' 's/"chunks": 1/"chunks": 2/' \
        's/"microbatches": 2/"microbatches": 4/' 's/"microbatch_size": 4/"microbatch_size": 1/' 's/"seq_len": 8/"seq_len": 16/' \
        's/"recompute": "none"/"recompute": "full"/' 's/"threads": 1/"threads": 2/'; do
        sed "$other" a >b
        run -2 python3 "$compare" a b
        [[ "$output" == "compare: 'a' has "*" and 'b' "*": take results of the same options" ]]
    done
    kernels 100 110 | sed 's/^{/{"threads": 1, /' >one
    kernels 100 110 | sed 's/^{/{"threads": 2, /' >two
    run -2 python3 "$compare" one two
    [ "$output" = "compare: 'one' has threads 1 and 'two' 2: take results of the same options" ]
}

@test "broken results and limits that are none end with status 2, not with that of something slower" {
    kernels 100 110 >a
    for text in 3 null '"rows"' '["rows"]' '{"rows": 3}' '{"rows": {"a": 1}}' '{"rows": [1]}' '{"rows": [{"operation": "linear"}]}' \
        "$(kernels null 1)" "$(kernels 1 null)" "$(kernels NaN 1)" "$(kernels -1 1)" '{"operations": []}' \
        '{"runs": [{"turn": 1, "times_ms": [], "others": 0, "model": "m", "dtype": "f32", "isa": null, "contender": "c", "warm_up": 0}]}'; do
        printf '%s' "$text" >bad
        run -2 python3 "$compare" a bad
        [[ "$output" == "compare: 'bad' "* ]]
    done
    for limit in -100 -1 nan inf; do
        run -2 python3 "$compare" a a --limit "$limit"
        [[ "$output" == "compare: --limit is "* ]]
    done
}

@test "files that are no results, or have nothing in common, are refused" {
    kernels 1 1 >a
    echo '{"x": 1}' >x
    echo '{"rows": []}' >empty
    run -2 python3 "$compare" a x
    [[ "$output" == *"compare: 'x' is no result of a benchmark"* ]]
    run -2 python3 "$compare" a empty
    [[ "$output" == *"compare: the two have no figure in common"* ]]
    run -2 python3 "$compare" a nowhere
    echo 'step 1' >text
    run -2 python3 "$compare" a text
    [[ "$output" == *"compare: 'text' is no JSON"* ]]
}
