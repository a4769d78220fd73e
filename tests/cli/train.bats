#!/usr/bin/env bats
# weir train and weir info as a person uses them.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 400); do printf 'line %d of a small text: the quick brown fox jumps over the lazy dog\n' "$i"; done >text
    printf 'short' >short
    printf '{"lrr": 1}' >typo.json
    printf '{"config": "typo.json"}' >nested.json
    printf '{"lr": 1, "lr": 2}' >double.json
    printf '[1]' >array.json
    printf '{"lr": [1]}' >type.json
    printf '{"steps": 2, "quiet": true}' >good.json
}

train() {
    "$WEIR" train --model gpt2-tiny --data text --microbatches 2 --microbatch-size 2 --seq-len 16 "$@"
}

@test "training prints the loss at the start and at the end, and lowers it" {
    run --separate-stderr train --steps 30 --lr 0.003
    [ "$status" -eq 0 ]
    [[ "$output" == "trained gpt2-tiny for 30 steps on 2 stages: loss 5."*" at the start, "*" at the end" ]]
    [[ "$stderr" == *"step 1/30 loss 5."* && "$stderr" == *"step 30/30 loss "* ]]
}

@test "1 and 4 stages, gpipe and 1f1b write the same losses" {
    train --steps 4 --stages 1 --dropout 0.1 -q --metrics one >/dev/null
    train --steps 4 --stages 4 --dropout 0.1 -q --metrics four >/dev/null
    train --steps 4 --stages 4 --dropout 0.1 -q --metrics pipe --schedule gpipe >/dev/null
    for file in one four pipe; do grep -o '"loss": [^,]*, "grad_norm": [^,]*' "$file" >"$file.losses"; done
    [ "$(wc -l <one.losses)" -eq 4 ]
    cmp one.losses four.losses
    cmp one.losses pipe.losses
}

@test "recomputation changes memory, not losses" {
    train --steps 3 --stages 2 --dropout 0.1 -q --metrics kept >/dev/null
    for list in full 'h.*.mlp' 'h.[0-2].*,head'; do
        train --steps 3 --stages 2 --dropout 0.1 -q --metrics again --force --recompute "$list" >/dev/null
        cmp <(grep -o '"loss": [^,]*, "grad_norm": [^,]*' kept) <(grep -o '"loss": [^,]*, "grad_norm": [^,]*' again)
        [ "$(grep -o '"peak_bytes": .*' again | head -1)" != "$(grep -o '"peak_bytes": .*' kept | head -1)" ]
    done
}

@test "a run over the cap is refused with options that fit, and fits with them" {
    run train --steps 3 --stages 1 --microbatches 4 --device-memory 20M
    [ "$status" -eq 3 ]
    [[ "$output" == *"rank 0 (stage 0) needs "*", the cap is 20971520 bytes, 1 of 1 ranks are over it: it fits with "* ]]
    [[ "$output" == *"with --stages 2"* ]]
    run --separate-stderr train --steps 3 --stages 2 --microbatches 4 --device-memory 20M --json -q
    [ "$status" -eq 0 ]
    run train --steps 3 --stages 1 --microbatches 4 --device-memory 8M
    [ "$status" -eq 3 ]
    [[ "$output" == *": it fits with --stages 4" ]]
    run --separate-stderr train --steps 3 --stages 4 --microbatches 4 --device-memory 8M --json -q --metrics m
    [ "$status" -eq 0 ]
    for peak in $(grep -o '"peak_bytes": \[[^]]*' m | head -1 | grep -o '[0-9]*'); do [ "$peak" -le 8388608 ]; done
}

@test "metrics have one object per step with every field" {
    train --steps 3 -q --metrics m.jsonl >/dev/null
    [ "$(wc -l <m.jsonl)" -eq 4 ]
    head -n 1 m.jsonl | grep -q '^{"run": {.*"model": "gpt2-tiny".*}}$'
    [ "$(grep -o '^{"step": [0-9]*' m.jsonl | tr -dc '0-9\n' | paste -sd ' ')" = "1 2 3" ]
    for field in step time_s tokens loss grad_norm lr tokens_per_s step_ms bubble data_wait_ms flops peak_bytes; do
        [ "$(grep "^{\"step\"" m.jsonl | grep -c "\"$field\": ")" -eq 3 ]
    done
}

@test "a trace has a row per rank and tells waiting from working" {
    train --steps 3 -q --trace t.json >/dev/null
    grep -q '"rank 1"' t.json
    grep -q '"0F0"' t.json
    grep -q '"1B1"' t.json
    grep -q '"cat": *"wait"' t.json
}

@test "--json prints one object; --quiet prints no progress" {
    run --separate-stderr train --steps 2 --json -q
    [ "$status" -eq 0 ]
    [[ "$output" == '{"model": "gpt2-tiny", "steps": 2, "stages": 2, '* ]]
    [ -z "$stderr" ]
}

@test "--config gives options, and the command line wins" {
    echo '{"stages": 3, "steps": 2, "quiet": true}' >c.json
    run train --config c.json --json
    [[ "$output" == *'"steps": 2, "stages": 3,'* ]]
    run train --config c.json --json --steps 1
    [[ "$output" == *'"steps": 1, "stages": 3,'* ]]
    echo '{"stagse": 3}' >c.json
    run train --config c.json
    [ "$status" -eq 2 ]
    [[ "$output" == *"'c.json': unknown option '--stagse': did you mean '--stages'?"* ]]
}

@test "the memory table and the step program are printed without training" {
    run "$WEIR" train --model gpt2-tiny --print-memory full --stages 2
    [ "$status" -eq 0 ]
    [[ "$output" == *"wte.weight"* && "$output" == *"stage 0 mb 0: F to W"* && "$output" == *"rank 1: params "* ]]
    run "$WEIR" train --model gpt2-tiny --print-program --stages 2
    [ "$status" -eq 0 ]
    [[ "$output" == *"0F0"* && "$output" == *"tied parameters"* ]]
}

@test "a schedule file is run; numbers that contradict it are usage errors" {
    printf '0F0,0F1,0I0,0W0,0I1,0W1\n1F0,1B0,1F1,1B1\n' >s.csv
    run train --schedule ./s.csv --steps 2 --json -q
    [ "$status" -eq 0 ]
    run train --schedule ./s.csv --microbatches 3
    [ "$status" -eq 2 ]
    [[ "$output" == *"'./s.csv' has 2 micro-batches, but --microbatches 3 was given"* ]]
    run "$WEIR" train --model gpt2-tiny --data text --microbatch-size 2 --schedule ./s.csv --steps 2 --json -q
    [ "$status" -eq 0 ]
    run "$WEIR" train --model gpt2-tiny --data text --schedule ./s.csv --stages 3
    [ "$status" -eq 2 ]
    [[ "$output" == *"'./s.csv' has 2 stages, but --stages 3 was given"* ]]
    printf '0F0,0B0\n1F0\n' >bad.csv
    run "$WEIR" train --model gpt2-tiny --data text --schedule ./bad.csv
    [ "$status" -eq 1 ]
}

# name | arguments | exit status | words of the message
@test "bad requests: one clear line and the right exit status" {
    while IFS='|' read -r name arguments code words; do
        # shellcheck disable=SC2086
        run "$WEIR" train $arguments
        [ "$status" -eq "$code" ] || { echo "$name: exit $status, output $output"; false; }
        [[ "$output" == *"$words"* ]] || { echo "$name: $output"; false; }
        [ "$(echo "$output" | wc -l)" -eq 1 ] || { echo "$name: $output"; false; }
    done <<'ROWS'
no model||2|--model is missing
no data|--model gpt2-tiny|2|--data is missing
tf32 without a GPU|--model gpt2-tiny --data text --dtype tf32|2|--dtype tf32 is for --device cuda
unknown dtype|--model gpt2-tiny --data text --dtype f23|2|unknown dtype 'f23': it is one of f32, tf32, bf16
devices that are not one per rank|--model gpt2-tiny --data text --device cpu:0,cpu:1,cpu:2 --stages 2|2|has 3 devices for 2 ranks
unknown model|--model gpt2-tny --data text|2|did you mean 'gpt2-tiny'
unknown option|--model gpt2-tiny --data text --stage 2|2|did you mean '--stages'
unknown schedule|--model gpt2-tiny --data text --schedule 1f1|2|did you mean '1f1b'
two copies of the weights on an odd number of ranks|--model gpt2-tiny --data text --schedule dualpipe --stages 3 --microbatches 8|1|use --ranks 4
chunks the schedule does not take|--model gpt2-tiny --data text --schedule zbv --stages 4 --chunks 1|2|--chunks 2
forwards only|--model gpt2-tiny --data text --schedule inference|1|forwards only
unknown dialect|--model gpt2-tiny --data text --dialect torch2024|2|did you mean 'torch-2024'
unknown optimizer|--model gpt2-tiny --data text --optimizer adam|2|did you mean 'adamw'
unknown device|--model gpt2-tiny --data text --device cpuu|2|did you mean 'cpu'
transport of another device|--model gpt2-tiny --data text --transport nccl --stages 1|2|transport 'nccl'
no micro-batches|--model gpt2-tiny --data text --microbatches 0|2|--microbatches takes a whole number from 1
more stages than layers|--model gpt2-tiny --data text --stages 15|3|15 stages
no such data|--model gpt2-tiny --data nowhere|1|cannot open 'nowhere'
a folder as text|--model gpt2-tiny --data .|1|'.'
too short|--model gpt2-tiny --data short|1|'short' has 5 bytes
sequence too long|--model gpt2-tiny --data text --seq-len 65|1|takes 1 to 64
unwritable metrics|--model gpt2-tiny --data text --metrics none/m --steps 1|1|none/m
unwritable trace|--model gpt2-tiny --data text --trace none/t --steps 1|1|none/t
larger than the machine|--model gpt2-tiny --data text --microbatch-size 1000000|3|MiB free
a layer that is none|--model gpt2-tiny --data text --recompute h.0.mlp,h.9.attn|2|did you mean 'h.0.attn'
an empty list of layers|--model gpt2-tiny --data text --recompute ,|2|empty entry
cap too small|--model gpt2-tiny --data text --device-memory 1M|3|the cap is 1048576
no cap at all|--model gpt2-tiny --data text --device-memory 0|2|--device-memory takes bytes such as 512M or 4GiB, at least 1
half a byte|--model gpt2-tiny --data text --device-memory 0.5|2|--device-memory takes bytes such as 512M or 4GiB, at least 1
images from text|--model mlp --data text|1|'text'
images without a size|--model mlp --print-memory|2|--data is missing
not a number|--model gpt2-tiny --data text --lr nan|2|--lr takes a number
negative seed|--model gpt2-tiny --data text --seed -1|2|--seed takes a whole number from 0
fewer than no steps|--model gpt2-tiny --data text --steps -1|2|--steps takes a whole number from 0
no configuration|--model gpt2-tiny --data text --config none.json|1|cannot open 'none.json'
a typo in the configuration|--model gpt2-tiny --data text --config typo.json|2|did you mean '--lr'
the short form of it|--model gpt2-tiny --data text -c typo.json|2|did you mean '--lr'
together with another letter|--model gpt2-tiny --data text -qc typo.json|2|did you mean '--lr'
two configurations|--model gpt2-tiny --data text --config good.json -c good.json|2|--config is given twice
a configuration in one|--model gpt2-tiny --data text --config nested.json|2|cannot name another
a key twice|--model gpt2-tiny --data text --config double.json|1|'double.json' line 1
a configuration that is a list|--model gpt2-tiny --data text --config array.json|2|one JSON object
a list as a value|--model gpt2-tiny --data text --config type.json|2|'lr' must be a number
preview on no device|--model gpt2-tiny --print-memory --device cpuu|2|did you mean 'cpu'
sequence for images|--model mlp --data text --seq-len 4|1|'text'
ROWS
}

@test "the files of PyTorch's tests train, in both dialects and with or without communication" {
    data="$WEIR_TEST_DATA/reference/torch_csv"
    [ -n "$WEIR_TEST_DATA" ] && [ -d "$data" ] || skip "WEIR_TEST_DATA is not set, the files lie there"
    for file in zb1p_2rank_2stagep_compute zb1p_2rank_2stagep_comms torchtitan_custom_schedule dualpipev_4rank_10mb; do
        run "$WEIR" train --model gpt2-tiny --data text --microbatch-size 1 --seq-len 8 --schedule "$data/$file.csv" --steps 2 --json -q
        [ "$status" -eq 0 ] || { echo "$file: $output"; false; }
        echo "$output" | grep -o '"loss_last.*' >"$file.loss"
    done
    cmp zb1p_2rank_2stagep_compute.loss zb1p_2rank_2stagep_comms.loss
    cmp zb1p_2rank_2stagep_compute.loss torchtitan_custom_schedule.loss
    ls "$data"/old_syntax/*.csv
    for file in "$data"/old_syntax/*compute*.csv; do
        run "$WEIR" train --model gpt2-tiny --data text --microbatch-size 1 --seq-len 8 --schedule "$file" --dialect torch-2024 --steps 1 --json -q
        [ "$status" -eq 0 ] || { echo "$file: $output"; false; }
    done
}

@test "a full disk is an error that names the file" {
    [ -e /dev/full ] || skip "no /dev/full here"
    run train --steps 1 -q --metrics /dev/full
    [ "$status" -eq 1 ]
    [[ "$output" == *"/dev/full"* ]]
}

@test "the command line wins over the configuration" {
    train --config good.json --steps 3 --metrics m
    [ "$(grep -c '"step"' m)" -eq 3 ]
    train -c good.json --metrics m --force
    [ "$(grep -c '"step"' m)" -eq 2 ]
}

@test "an output never overwrites the file of another option" {
    cp text kept
    run train --steps 1 -q --metrics ./text
    [[ "$status" -eq 2 && "$output" == *"--data and --metrics are the same file './text'"* ]]
    run train --steps 1 -q --trace text
    [[ "$status" -eq 2 && "$output" == *"--data and --trace are the same file"* ]]
    cmp text kept
    run train --steps 1 -q --metrics both --trace ./both
    [[ "$status" -eq 2 && "$output" == *"--metrics and --trace are the same file"* ]]
    [ ! -e both ]
}

@test "a closed standard output is an error" {
    run bash -c '"$WEIR" train --model gpt2-tiny --data text --seq-len 16 --steps 1 --json >&-'
    [[ "$status" -eq 1 && "$output" == *"cannot write to standard output"* ]]
}

@test "the memory table shows what does not fit" {
    run "$WEIR" train --model gpt2-tiny --print-memory full --microbatch-size 1000000 --device-memory 1M
    [[ "$status" -eq 0 && "$output" == *"totals per rank"* ]]
}

@test "names of files and of what stands in them cannot speak to the terminal" {
    name=$'a\e[2Jb\nc'
    run train --steps 1 --data "$name"
    [[ "$status" -eq 1 && "$output" == *"'a\\x1b[2Jb\\nc'"* ]]
    for arguments in "--metrics $name/m" "--trace $name/t" "--schedule ./$name" "--config $name" "--init-from $name" "--model ./$name" "--device $name" \
        "--recompute $name" "--optimizer $name" "--$name" "--steps $name"; do
        option=${arguments%% *} value=${arguments#* }
        [ "$option" != "--$name" ] || value=1
        run train --steps 1 "$option" "$value"
        [ "$status" -ne 0 ]
        [ "${#lines[@]}" -eq 1 ] || { echo "$arguments: $output"; false; }
        [[ "$output" != *$'\e'* ]] || { echo "$arguments"; false; }
    done
    printf '{"steps": 1, "st\\u001b[2Jeps": 2}' >odd.json
    run train --config odd.json
    [[ "$status" -eq 2 && "$output" == *"unknown option '--st\\x1b[2Jeps'"* ]]
    mkdir "$name"
    printf '{"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 16, "vocab_size": 256}' >"$name/config.json"
    run --separate-stderr train --model "./$name" --stages 1 --steps 1 -q --export odd --quiet
    run --separate-stderr "$WEIR" train --model "./$name" --data text --stages 1 --steps 1
    [[ "$status" -eq 0 && "$output" == *"trained ./a\\x1b[2Jb\\nc"*" for 1 step on 1 stage: loss "* ]]
}

@test "a signal ends the run after a step with 128 + its number" {
    "$WEIR" train --model gpt2-tiny --data text --seq-len 16 --steps 1000000 -q --metrics m.jsonl --trace t.json 3>&- &
    pid=$!
    for _ in $(seq 200); do [ -s m.jsonl ] && break; sleep 0.05; done
    kill -TERM "$pid"
    code=0
    wait "$pid" || code=$?
    [ "$code" -eq 143 ]
    tail -n 1 m.jsonl | grep -q '}$'
    grep -q '"0F0"' t.json
}

@test "lists stand where there is a set to choose from" {
    run "$WEIR" train --model list
    [[ "$status" -eq 0 && "$output" == *"gpt2-tiny"* && "$output" == *"mlp"* ]]
    run "$WEIR" train --schedule list
    [[ "$status" -eq 0 && "$output" == *"1f1b"* && "$output" == *"gpipe"* ]]
    run "$WEIR" train --device list
    [[ "$status" -eq 0 && "$output" == *"cpu"* ]]
}

@test "info names version, machine, devices and libraries; --json is an object" {
    run "$WEIR" info
    [[ "$status" -eq 0 && "$output" == *"machine"* && "$output" == *"device      cpu: "* && "$output" == *"oneDNN"* ]]
    run "$WEIR" info --json
    [[ "$status" -eq 0 && "$output" == "{"*'"devices"'*"}" ]]
}

@test "--help fits on a screen and names every option, --help GROUP and --help all say what they do" {
    run "$WEIR" train --help
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -le 48 ]
    grep -oE -- ' --[a-z0-9-]+' <<<"$output" | sort -u >named
    run "$WEIR" train --help all
    [ "$status" -eq 0 ]
    options() { sed -nE 's/^ {2}(-., | {4})(--[a-z0-9-]+).* [^ ].*/ \2/p' | sort -u; }
    options <<<"$output" >all
    [ "$(wc -l <all)" -gt 60 ]
    echo " --help" | sort -u - all | cmp - named
    for group in $("$WEIR" train --help | sed -nE 's/^ {2}([a-z]+) +--.*/\1/p'); do "$WEIR" train --help "$group" >>texts; done
    options <texts >grouped
    [ "$(wc -l <grouped)" -gt 30 ]
    [ -z "$(comm -13 all grouped)" ]
    [ "$("$WEIR" train --help=data)" = "$("$WEIR" help train data)" ]
    [[ "$("$WEIR" train -h data)" == *"--val-data PATH "* ]]
    run "$WEIR" train --help dta
    [[ "$status" -eq 2 && "$output" == "weir train: unknown group of options 'dta': did you mean 'data'?" ]]
}

@test "bf16 on the processor gives every layout the same bits, near those of f32" {
    cd "$BATS_TEST_TMPDIR" || exit 1
    cat "$WEIR_SOURCE_DIR"/docs/*.md >text
    base=(train --model gpt2-tiny --data text --microbatches 4 --microbatch-size 2 --seq-len 16 --steps 3 --quiet)
    numbers() { grep -o '"loss": [^,]*, "grad_norm": [^,]*' "$1"; }
    "$WEIR" "${base[@]}" --metrics f32
    for layout in "--stages 1" "--stages 2 --schedule zb-h1" "--ranks 2 --chunks 2 --schedule interleaved --recompute full"; do
        # shellcheck disable=SC2086
        "$WEIR" "${base[@]}" --dtype bf16 $layout --metrics bf16 --force
        [ -e one ] || numbers bf16 >one
        numbers bf16 | cmp one -
    done
    numbers f32 >wide
    run ! cmp -s one wide
    paste <(grep -o '^"loss": [^,]*' one) <(grep -o '^"loss": [^,]*' wide) | tr -d '",:a-z' |
        awk '{ if ($1 / $2 < 0.996 || $1 / $2 > 1.004) exit 1; n++ } END { if (n != 3) exit 1 }'
    run "$WEIR" train --model gpt2-tiny --data text --dtype bf16 --steps 1 --device cpu
    [ "$status" -eq 0 ]
    ONEDNN_MAX_CPU_ISA=AVX2 run "$WEIR" train --model gpt2-tiny --data text --dtype bf16 --steps 1
    [[ "$status" -eq 0 && "$output" == *"multiplies bf16 numbers as f32: --dtype bf16 saves memory here, not time"* ]]
}
