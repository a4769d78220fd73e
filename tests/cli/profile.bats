#!/usr/bin/env bats
# Costs that were measured: weir profile, weir train --save-costs, weir schedule costs of a trace.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
}

@test "a profile has F, I and W of every layer, and what was measured in how many rounds" {
    run --separate-stderr "$WEIR" profile --model gpt2-tiny --seq-len 16 --microbatch-size 1 --rounds 5 --ranks 2 -o p.json
    [ "$status" -eq 0 ]
    [ "$(grep -c '"F": .*"I": .*"W": .*"optimizer": .*"mem_B": ' p.json)" -eq 14 ]
    grep -q '^ "transfer": [0-9.e-]*' p.json
    grep -q '^ "in_flight": {"low": .*, "high": .*, "factor": .*, "at_once": [0-9.e-]*}}' p.json
    "$WEIR" schedule simulate zb-h1 -p 2 -m 4 --costs p.json >/dev/null
    grep -q '^{"layers": \[$' p.json
    [[ "$stderr" == *"gpt2-tiny, 14 layers on 2 busy ranks: "*" ms a micro-batch, "*" Gflop/s (--flops "*", a hand-over "*" ms"*"medians of 5 rounds, the widest spread is "*" %"* ]]
    [[ "$stderr" == *" % longer with many micro-batches in flight, "*" % with W apart from I"* ]]
    run --separate-stderr "$WEIR" profile --model mlp --rounds 5 -q --ranks 1
    [[ "$status" -eq 0 && -z "$stderr" && "$(grep -c '"F": ' <<<"$output")" -eq 8 ]]
}

@test "no more ranks are busy than there are layers" {
    run --separate-stderr "$WEIR" profile --model mlp --microbatch-size 2 --rounds 5 --ranks 64 -o p.json
    [[ "$status" -eq 0 && "$stderr" == *"mlp, 8 layers on 8 busy ranks: "* && "$(grep -c '"F": ' p.json)" -eq 8 ]]
}

@test "the costs of a run are those of its trace, and simulate reads them" {
    "$WEIR" train --model gpt2-tiny --data text --seq-len 16 --stages 2 --steps 6 --schedule zb-h1 --save-costs c.json --trace t.json 2>log
    grep -q "costs of 2 stages in 'c.json': medians of 5 steps, the widest spread is " log
    [ "$(grep -c '"F": .*"mem_B": .*"optimizer_bytes": ' c.json)" -eq 2 ]
    "$WEIR" schedule simulate zb-h1 -p 2 -m 4 --costs c.json >/dev/null
    "$WEIR" schedule costs t.json -o of-trace.json
    [ "$(grep -c '"F": ' of-trace.json)" -eq 2 ]
    ! grep mem_B of-trace.json
    "$WEIR" schedule simulate zb-h1 -p 2 -m 4 --costs of-trace.json >/dev/null
    "$WEIR" schedule costs of-trace.json | cmp - of-trace.json
    "$WEIR" schedule simulate 1f1b -p 2 -m 4 --time F=1,I=2,W=3 --trace s.json >/dev/null
    "$WEIR" schedule costs s.json | grep -q '"F": 1, "I": 2.5, "W": 2.5'
}

# arguments|status|words
@test "what is wrong is said" {
    "$WEIR" train --model gpt2-tiny --data text --seq-len 16 --stages 2 --steps 2 --trace t.json -q
    echo '{"edges": []}' >e.json
    while IFS='|' read -r arguments code words; do
        # shellcheck disable=SC2086
        run "$WEIR" $arguments
        [ "$status" -eq "$code" ] || { echo "$arguments: $status $output"; false; }
        [[ "$output" == *"$words"* ]] || { echo "$arguments: $output"; false; }
    done <<'ROWS'
profile|2|--model is missing
profile --model gpt2-tiny --dtype tf32|2|--dtype tf32 is for --device cuda
profile --model gpt2-tiny --dtype fp16|2|weir does not compute in 'fp16': use --dtype bf16
profile --model gpt2-tiny --dtype f23|2|unknown dtype 'f23': it is one of f32, tf32, bf16
profile --model gpt2-tiny --rounds 2|2|--rounds
schedule costs t.json --stages 3|2|--stages is about a model, 't.json' has its times
schedule costs e.json|1|'e.json' has no times of stages
schedule costs text|1|text
train --model gpt2-tiny --data text --seq-len 16 --steps 1 --save-costs c.json|1|costs need 2 steps at least
train --model gpt2-tiny --data text --steps 1 --save-costs text|2|--save-costs
ROWS
}
