#!/usr/bin/env bats
# weir train and weir plan with model folders: --model PATH, --init-from, --export.

bats_require_minimum_version 1.5.0
load small_tokenizer

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 400); do printf 'line %d of a small text: the quick brown fox jumps over the lazy dog\n' "$i"; done >text
    seq 2000 >digits # tokens below 64
    head -c 2000 digits | od -An -v -tu1 -w1 | words2 >ids.bin
    fixtures=$WEIR_SOURCE_DIR/tests/fixtures
}

train() {
    "$WEIR" train --data text --microbatches 2 --microbatch-size 2 --seq-len 16 -q "$@"
}

losses() {
    sed -n 's/.*"loss": \([^,]*\),.*/\1/p' "$1"
}

@test "a trained model is exported, and training goes on from the folder" {
    train --model llama-tiny --steps 6 --lr 0.003 --optimizer sgd --stages 3 --metrics whole
    train --model llama-tiny --steps 3 --lr 0.003 --optimizer sgd --stages 2 --export half
    [ "$(ls half)" = "$(printf 'config.json\nmodel.safetensors')" ]
    "$JSON_GET" model_type num_key_value_heads hidden_act <half/config.json >keys
    [ "$(cat keys)" = "$(printf '"llama"\n2\n"silu"')" ]
    # --model from the folder: the same sizes; the loss of the first step shows what was read
    train --model half/ --init-from half --steps 1 --lr 0 --metrics again
    train --model llama-tiny --init-from half/model.safetensors --steps 1 --lr 0 --stages 4 --metrics other
    [ "$(losses again)" = "$(losses other)" ]
    [ "$(losses again)" != "$(losses whole | head -n 1)" ]
    train --model llama-tiny --steps 1 --lr 0 --metrics fresh
    [ "$(losses fresh)" = "$(losses whole | head -n 1)" ]
}

@test "an export takes the place of the one before" {
    train --model gpt2-tiny --steps 1 --export out
    cp out/model.safetensors first
    train --model gpt2-tiny --steps 2 --export out
    run cmp -s first out/model.safetensors
    [ "$status" -eq 1 ]
    [ "$(ls out)" = "$(printf 'config.json\nmodel.safetensors')" ]
}

@test "weir plan takes a model folder" {
    run "$WEIR" plan --model "$fixtures/hf-llama" --devices 2 --objective max-load --json
    [ "$status" -eq 0 ]
    run "$WEIR" plan --model "$fixtures/hf-gpt2/config.json" --devices 2
    [[ "$status" -eq 0 && "$output" == *" a step of 16 samples of "*" tokens on 2 x cpu"* ]]
}

@test "commands that print JSON take folders and files whose names are not UTF-8" {
    local odd=$'m\xff'
    train --model gpt2-tiny --steps 0 --export "$odd"
    "$WEIR" schedule make zbv -p 2 -m 2 >"$odd.csv"
    run -0 --separate-stderr "$WEIR" schedule compare "$odd.csv"
    [[ "$output" == *$'\n''m\xff.csv '* ]]
    local model=(--model "$odd" --seq-len 8)
    run -0 --separate-stderr "$WEIR" bench train "$odd.csv" "${model[@]}" --steps 1 --json
    [[ "$output" == *'"model": "m?/config.json"'*'"schedule": "m?.csv"'* ]]
    run -0 --separate-stderr "$WEIR" bench train "$odd.csv" "${model[@]}" --steps 1
    [[ "$output" == *', m\xff/config.json in f32: m\xff.csv on 2 ranks, 2 micro-batches of 4, '*'; 1 step'$'\n'* ]]
    run -0 --separate-stderr "$WEIR" bench kernels add "${model[@]}" --json
    [[ "$output" == *'"model": "m?/config.json"'* ]]
    run -0 --separate-stderr "$WEIR" bench schedules 1f1b "${model[@]}" --steps 1 --json
    [[ "$output" == *'"model": "m?/config.json"'* ]]
    run -0 --separate-stderr "$WEIR" generate --init-from "$odd" --prompt hello --tokens 1 --json
    [[ "$output" == *'"model": "m?/config.json"'* ]]
    run -0 --separate-stderr "$WEIR" plan --model "$odd" --devices 2 --json
    [[ "$output" == *'"model": "m?"'* ]]
    train --model "$odd" --steps 1 --json
}

@test "keys that nobody knows are named in one line on stderr" {
    mkdir m
    sed 's/"model_type"/"colour": 1, "model_type"/' "$fixtures/hf-gpt2/config.json" >m/config.json
    run --separate-stderr "$WEIR" plan --model m/ --devices 2
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"'m/config.json': unknown keys are not used: 'colour'"* && "$(echo "$stderr" | wc -l)" -eq 1 ]]
}

# name | arguments | exit status | words of the message
@test "bad requests: one clear line, before anything is trained" {
    cp -r "$fixtures/hf-gpt2" g
    cp -r "$fixtures/hf-llama" l
    mkdir odd
    sed 's/gelu_new/relu_sq/' g/config.json >odd/config.json
    head -c 3000 g/model.safetensors >cut.safetensors
    mkdir sharded
    echo '{"weight_map": {"wte.weight": "../g/model.safetensors"}}' >sharded/model.safetensors.index.json
    while IFS='|' read -r name arguments code words; do
        # shellcheck disable=SC2086
        run "$WEIR" train --data digits --seq-len 8 -q --metrics m $arguments
        [ "$status" -eq "$code" ] || { echo "$name: exit $status, output $output"; false; }
        [[ "$output" == *"$words"* ]] || { echo "$name: $output"; false; }
        [ "$(echo "$output" | wc -l)" -eq 1 ] || { echo "$name: $output"; false; }
        [ ! -s m ]
    done <<'ROWS'
no such folder|--model none/|1|cannot open 'none/config.json'
a value that is not computed|--model odd/|1|'activation_function' is 'relu_sq'
weights of another family|--model g/ --init-from l|1|is extra: model 'g/config.json' has no such parameter
weights of another size|--model gpt2-tiny --init-from g|1|parameter 'h.0.
a file cut short|--model g/ --init-from cut.safetensors|1|'cut.safetensors'
no weights|--model g/ --init-from odd|1|folder 'odd' has no model.safetensors
a shard elsewhere|--model g/ --init-from sharded|1|is not a plain name
text as weights|--model g/ --init-from text|1|it is not a safetensors file
an export into nowhere|--model g/ --export none/m|1|cannot make folder 'none/m'
an export over a file|--model g/ --export text|1|cannot make folder 'text'
ROWS
}

@test "a model without a Hugging Face form is not exported, and says so before the first step" {
    data=$BATS_TEST_TMPDIR/images
    mkdir "$data"
    printf '\0\0\10\3\0\0\0\2\0\0\0\1\0\0\0\2\1\2\3\4' >"$data/train-images-idx3-ubyte"
    printf '\0\0\10\1\0\0\0\2\0\1' >"$data/train-labels-idx1-ubyte"
    run "$WEIR" train --model mlp --data "$data" --microbatches 1 --microbatch-size 1 --steps 1 --stages 1 --export out
    [ "$status" -eq 1 ]
    [[ "$output" == *"model 'mlp' has no Hugging Face form: it cannot be exported"* ]]
    [ ! -e out ]
}

@test "a folder without a slash in its name is a model too, unless a built-in one has the name" {
    train --model gpt2-tiny --steps 1 --export mine
    cp -r mine mlp
    train --model mine --init-from mine --steps 1 --metrics m1
    train --model ./mlp --init-from mlp --steps 1 --metrics m2
    [ "$(losses m1)" = "$(losses m2)" ]
    run "$WEIR" train --model mlp --steps 1
    [ "$status" -eq 2 ]
}

@test "an unwritable export folder is found before the first step" {
    mkdir closed
    chmod 555 closed
    touch closed/probe 2>/dev/null && skip "this user may write everywhere"
    run train --model gpt2-tiny --steps 1 --export closed --metrics m
    [ "$status" -eq 1 ]
    [[ "$output" == *"cannot write 'closed/model.safetensors': Permission denied"* ]]
    [ ! -s m ]
}

@test "an export has the tokenizer, generation_config.json and the other keys of the folder it began with" {
    cp -r "$fixtures/hf-gpt2" src
    sed 's/"eos_token_id": null/"colour": "blue", "eos_token_id": 5/' "$fixtures/hf-gpt2/config.json" >src/config.json
    echo '{"eos_token_id": 5}' >src/generation_config.json
    echo '{"a": 0}' >src/vocab.json
    printf '#version: 0.2\n' >src/merges.txt
    echo '{"model_max_length": 8}' >src/tokenizer_config.json
    for source in src src/model.safetensors; do
        "$WEIR" train --model src/ --init-from "$source" --data ids.bin --data-format u16 --seq-len 8 -q --steps 1 --export out
        for f in generation_config.json vocab.json merges.txt tokenizer_config.json; do cmp "src/$f" "out/$f"; done
        [ "$("$JSON_GET" colour eos_token_id torch_dtype <out/config.json)" = "$(printf '"blue"\n5\n"bfloat16"')" ]
        run grep -c '"dtype"' out/config.json
        [ "$output" = 0 ]
        "$WEIR" train --model out/ --init-from out --data ids.bin --data-format u16 --seq-len 8 -q --steps 1
        rm -r out
    done
}

@test "a tokenizer that the export cannot replace is found before the first step" {
    cp -r "$fixtures/hf-gpt2" src
    echo '{}' >src/vocab.json
    mkdir -p out/vocab.json
    run "$WEIR" train --model src/ --data ids.bin --data-format u16 --seq-len 8 -q --steps 1 --export out --metrics m
    [ "$status" -eq 1 ]
    [[ "$output" == *"cannot write 'out/vocab.json': Is a directory"* ]]
    [ ! -s m ]
    [ "$(ls out)" = vocab.json ]
}

small() {
    "$WEIR" train --model src/ --data digits --data-format text --seq-len 8 -q "$@"
}

@test "weights go through an export unchanged in the dtype that they had" {
    cp -r "$fixtures/hf-gpt2" src
    small --init-from src --steps 0 --export wide --export-dtype f32
    small --init-from src --steps 0 --export out
    [ "$("$JSON_GET" torch_dtype <out/config.json)" = '"bfloat16"' ]
    [ "$("$JSON_GET" torch_dtype <wide/config.json)" = '"float32"' ]
    small --init-from out --steps 0 --export again --export-dtype f32
    cmp wide/model.safetensors again/model.safetensors
    [ "$(wc -c <out/model.safetensors)" -lt "$(wc -c <wide/model.safetensors)" ]
    for name in f16 FLOAT16 fp16 torch.float16; do
        small --init-from src --steps 0 --export "$name" --export-dtype "$name"
        [ "$("$JSON_GET" torch_dtype <"$name/config.json")" = '"float16"' ]
    done
    run small --init-from src --steps 0 --export odd --export-dtype f8
    [ "$status" -eq 2 ]
    [[ "$output" == *"unknown export dtype 'f8'"* ]]
    [ ! -e odd ]
}

@test "large weights are exported in shards, and a later export takes their place" {
    cp -r "$fixtures/hf-gpt2" src
    small --init-from src --steps 1 --export one
    small --init-from src --steps 1 --export out --export-shard-size 8KB
    [ "$(ls out | head -n 2 | tail -n 1)" = model-00001-of-00003.safetensors ]
    [ -s out/model.safetensors.index.json ]
    [ ! -e out/model.safetensors ]
    small --init-from out --steps 0 --export back
    cmp one/model.safetensors back/model.safetensors
    small --init-from src --steps 2 --export out # the source is bf16, and so is this
    [ "$(ls out)" = "$(printf 'config.json\nmodel.safetensors')" ]
    small --init-from out --steps 1
}

@test "a run that is refused leaves no folder for its export" {
    cp -r "$fixtures/hf-gpt2" src
    head -c 3000 src/model.safetensors >cut.safetensors
    run small --init-from cut.safetensors --steps 1 --export out
    [ "$status" -eq 1 ]
    [ ! -e out ]
    run small --init-from src --steps 1 --export out --metrics none/m
    [ "$status" -eq 1 ]
    [ ! -e out ]
}

@test "transformers opens what was exported, and generates the same tokens" {
    run "${WEIR_PYTHON:-python3}" "$WEIR_SOURCE_DIR/tests/soak/export_opens.py" "$WEIR"
    [ "$status" -ne 77 ] || skip "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"12 of 12 exports open in transformers"* ]]
}
