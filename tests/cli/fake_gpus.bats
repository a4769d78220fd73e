#!/usr/bin/env bats
# The command on stand-ins for the CUDA runtime and for NCCL (tests/stand_ins/fake_cuda, tests/stand_ins/fake_nccl): device cuda without a
# GPU.   labels: slow

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    [ -n "${WEIR_FAKE:-}" ] || skip "this build has no C++ compiler for the stand-ins"
    for i in $(seq 80); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
}

train() {
    "$WEIR_FAKE" train --model gpt2-tiny --data text --microbatches 2 --microbatch-size 1 --seq-len 8 --steps 2 -q "$@"
}

@test "the machine of the stand-in comes from the environment" {
    WEIR_FAKE_GPUS=3 "$WEIR_FAKE" info | grep -q '^device *cuda: 3 '
    WEIR_FAKE_GPUS=0 "$WEIR_FAKE" info | grep -q '^device *cuda: 0, '
    WEIR_FAKE_GPUS=9 run "$WEIR_FAKE" info
    [ "$status" -eq 2 ]
    [[ $output == "WEIR_FAKE_GPUS: '9' is not a number from 0 to 8" ]]
    WEIR_FAKE_MODE=lasy run "$WEIR_FAKE" info
    [[ $status -eq 2 && $output == "WEIR_FAKE_MODE: 'lasy' is none of"* ]]
    WEIR_FAKE_NCCL=random,serail run "$WEIR_FAKE" info
    [[ $status -eq 2 && $output == "WEIR_FAKE_NCCL: 'serail' is no mode"* ]]
    WEIR_FAKE_MEMORY=16 run train --device cuda:0
    [ "$status" -eq 3 ]
}

@test "training on it gives the same losses for two layouts" {
    WEIR_FAKE_MODE=lazy train --device cuda --stages 2 --metrics two
    WEIR_FAKE_MODE=random WEIR_FAKE_SEED=5 train --device cuda:0 --stages 1 --metrics one
    [ "$(grep -c '"step"' one)" -eq 2 ]
    grep -o '"loss": [^,]*' one | cmp - <(grep -o '"loss": [^,]*' two)
}

@test "bf16 has losses of its own, the same for two layouts, and weights that go out and in as f32" {
    WEIR_FAKE_MODE=lazy train --device cuda --stages 2 --dtype bf16 --metrics two --export out
    train --device cuda:0 --stages 1 --dtype bf16 --metrics one
    train --device cuda:0 --stages 1 --metrics f32
    grep -o '"loss": [^,]*' one >losses
    grep -o '"loss": [^,]*' two | cmp - losses
    run ! cmp -s losses <(grep -o '"loss": [^,]*' f32)
    grep -q '"dtype":"F32"' out/model.safetensors
    train --device cuda:0 --stages 1 --dtype bf16 --init-from out --steps 1
    train --device cuda --stages 2 --dtype bf16 --print-memory full | grep -q ' param copies '
}

@test "generating on it continues the text as the processor does, on any layout" {
    generate() {
        "$WEIR_FAKE" generate --model gpt2-tiny --prompt 'a stage' --tokens 6 --samples 2 --json -q "$@"
    }
    generate --device cpu >cpu
    generate --device cuda:0 | cmp - cpu
    WEIR_FAKE_MODE=random generate --device cuda:1,cuda:0,cuda:0 --stages 3 | cmp - cpu
    generate --device cuda --stages 2 --temperature 1.5 --seed 3 >one
    generate --device cuda:0 --temperature 1.5 --seed 3 | cmp - one
    for words in thin no-bias none first-fails; do # products that the library refuses
        WEIR_FAKE_PRODUCTS=$words generate --device cuda:0 2>warnings | cmp - cpu
        [ "$words" = first-fails ] || grep -q 'a product of 1 x [0-9]* x [0-9]* with a bias is computed' warnings
    done
    WEIR_FAKE_GPUS=2 run generate --device cuda --stages 3
    [[ $status -eq 2 && $output == *"there is no device 'cuda:2', this machine has 2"* ]]
}
