# weir schedule: list, make, check, simulate, convert.
bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR"
}

@test "list names every schedule, as text and as JSON" {
    run -0 "$WEIR" schedule list
    [[ "$output" == *"1f1b "* && "$output" == *"zbv "* && "$output" == *"inference "* ]]
    run -0 bash -c '"$WEIR" schedule list --json | "$JSON_GET" "#"'
    [ "$output" -ge 15 ]
}

@test "make writes CSV to stdout or to a file" {
    run -0 "$WEIR" schedule make gpipe -p 2 -m 2
    [ "${lines[0]}" = "0F0,0F1,0B0,0B1" ]
    [ "${lines[1]}" = "1F0,1F1,1B0,1B1" ]
    run -0 "$WEIR" schedule make gpipe -p 2 -m 2 --comms -o out.csv
    [ -z "$output" ]
    run -0 cat out.csv
    [ "${lines[0]}" = "0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1" ]
}

@test "groups smaller than the ranks train to the bits of one stage" {
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    "$WEIR" schedule make interleaved-zb -p 3 -v 2 -m 4 --group-size 2 -o groups.csv
    trained() {
        "$WEIR" train --model gpt2-tiny --data text --microbatches 4 --microbatch-size 1 --seq-len 8 --steps 3 -q --export "$@"
    }
    trained many --schedule ./groups.csv
    trained one --stages 1
    cmp many/model.safetensors one/model.safetensors
}

@test "auto says what it has beaten and how far it is from the bound" {
    run -0 --separate-stderr "$WEIR" schedule make auto -p 4 -m 8 --time F=1,I=1.05,W=0.75 --memory-cap 4 -o auto.csv
    [[ "$stderr" == "auto         makespan 26.3, 0.00 % above the lower bound 26.3; no better than zb-h1 (26.3)"* ]]
    run -0 "$WEIR" schedule check auto.csv
    [[ "$output" == *"weight gradients in ascending order" ]]
    run -0 bash -c '"$WEIR" schedule simulate auto -p 4 -m 8 --time F=1,I=1.3,W=0.4 --memory-cap 5 --json >auto.json'
    run -0 bash -c '"$JSON_GET" auto.best_known <auto.json'
    [[ "$output" == *zb-h* || "$output" == *1f1b* ]] || { echo "$output"; false; }
    "$WEIR" schedule make auto -p 4 -m 8 --time F=1,I=1.3,W=0.4 --memory-cap 5 >a.csv
    "$WEIR" schedule make AUTO -p 4 -m 8 --time F=1,I=1.3,W=0.4 --memory-cap 5 >b.csv
    cmp a.csv b.csv
    run -1 "$WEIR" schedule make auto -p 4 -m 8 --memory-cap 0.5
    [[ "$output" == *"no schedule was found that fits the memory cap: the leanest takes "*" times as much"* ]]
    run -2 "$WEIR" schedule make zbv -p 4 -m 8 --objective span
    [[ "$output" == *"--objective is for the schedule auto, not for 'zbv'"* ]]
    run -2 "$WEIR" schedule make zbv -p 4 -m 8 --time F=2
    [[ "$output" == *"'zbv' is made without costs"* ]]
}

@test "auto reads uneven costs from a file and takes their number of stages" {
    printf '{"stages": [{"F":2,"I":0,"W":1},{"F":1,"I":1,"W":1},{"F":1,"I":1,"W":1},{"F":1,"I":2,"W":1}]}' >costs.json
    run -0 "$WEIR" schedule simulate auto -p 2 -m 6 --costs costs.json --memory-cap 6
    [[ "$output" == "2 ranks, 4 stages, 6 micro-batches"* ]]
    run -2 "$WEIR" schedule make auto -p 3 -m 6 --costs costs.json
    [[ "$output" == *"the costs have 4 stages, which do not divide over 3 ranks"* ]]
}

@test "auto is listed with the others, and named where a name is not known" {
    run -0 "$WEIR" schedule list
    [[ "${lines[-1]}" == "auto  "* ]]
    run -0 bash -c '"$WEIR" schedule list --json | grep -c "\"name\": \"auto\""'
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    for command in "train --model gpt2-tiny --data text --schedule" "schedule make -p 2 -m 2" "schedule simulate -p 2 -m 2" \
        "schedule compare -p 2 -m 2"; do
        run -2 "$WEIR" $command bird-of-paradise
        [[ "$output" == *"unknown schedule 'bird-of-paradise': it is one of gpipe, "*", auto" ]]
        run -2 "$WEIR" $command autp
        [[ "$output" == *"did you mean 'auto'?" ]]
    done
}

@test "training with auto takes a cap in bytes" {
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    activations() {
        "$WEIR" train --model gpt2-tiny --data text --stages 4 --microbatches 8 --schedule auto --print-memory full "$@" |
            awk '$2 == "activations" && $3 + $4 > most { most = $3 + $4 } END { print most }'
    }
    usual=$(activations)
    run -1 "$WEIR" train --model gpt2-tiny --data text --stages 4 --microbatches 8 --schedule auto --memory-cap 3M --print-memory
    [[ "$output" == *"the leanest takes "*" times as much, use a greater --memory-cap"* ]]
    run activations --memory-cap 12M
    [ "$output" -le $((12 << 20)) ]
    [ "$(activations --memory-cap 64M)" -ge "$usual" ]
    run -2 "$WEIR" train --model gpt2-tiny --data text --schedule 1f1b --memory-cap 12M
    [[ "$output" == *"--memory-cap is for --schedule auto, not for '1f1b'"* ]]
}

@test "training with auto has the bits of one stage" {
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    trained() {
        "$WEIR" train --model gpt2-tiny --data text --microbatches 6 --microbatch-size 1 --seq-len 8 --steps 2 -q --export "$@"
    }
    trained one --stages 1
    trained three --stages 3 --schedule Auto
    trained two --ranks 2 --chunks 2 --schedule auto
    cmp one/model.safetensors three/model.safetensors
    cmp one/model.safetensors two/model.safetensors
}

@test "make writes a header where there are two copies" {
    run -0 "$WEIR" schedule make dualpipe -p 2 -m 4
    [ "${lines[0]}" = "# weir-schedule 1 copies=2" ]
}

@test "training says that a file adds weight gradients up in another order" {
    head -c 4000 "$WEIR" | base64 >data.txt
    printf '0F0,0F1,0B1,0B0\n' >down.csv
    run -0 --separate-stderr "$WEIR" train --model gpt2-tiny --data data.txt --schedule ./down.csv --steps 1 --json
    [[ "$output" == *'"wgrad_order": "other"'* ]]
    [[ "$stderr" == *"'./down.csv' runs W in another than ascending order of micro-batches"* ]]
    run -0 --separate-stderr "$WEIR" train --model gpt2-tiny --data data.txt --stages 1 --steps 1 --json
    [[ "$output" == *'"wgrad_order": "ascending"'* ]]
    [[ "$stderr" != *"ascending"* ]]
    printf '0F0,0F1\n' >forwards.csv
    run -1 "$WEIR" train --model gpt2-tiny --data data.txt --schedule ./forwards.csv --steps 1
    [[ "$output" == *"'./forwards.csv': the schedule has forwards only"* ]]
}

@test "an order that needs three gradients at once is trained with three slots for them" {
    head -c 4000 "$WEIR" | base64 >data.txt
    printf '0F0,0F1,0F2,0B2,0B1,0B0\n1F0,1F1,1F2,1B0,1B1,1B2\n' >slots.csv
    run -0 "$WEIR" schedule check slots.csv
    run -0 "$WEIR" train --model gpt2-tiny --data data.txt --schedule ./slots.csv --steps 1 --print-memory full
    [[ "$output" == *"stage 0: 3 gradient slots"* ]]
    run -0 "$WEIR" train --model gpt2-tiny --data data.txt --schedule ./slots.csv --steps 1
}

@test "schedules that go through chunks in turn have two of them unless told otherwise" {
    run -0 "$WEIR" schedule make bfs -p 2 -m 2
    [ "${lines[0]}" = "0F0,0F1,2F0,2F1,2B0,2B1,0B0,0B1" ]
    run -0 "$WEIR" schedule make bfs -p 2 -m 2 -v 1
    [ "${lines[0]}" = "0F0,0F1,0B0,0B1" ]
    run -0 "$WEIR" schedule list
    [[ "$output" == *"; 2 chunks unless told otherwise"* ]]
    head -c 4000 "$WEIR" | base64 >data.txt
    run -2 "$WEIR" train --model gpt2-tiny --data data.txt --stages 3 --schedule bfs --steps 1
    [[ "$output" == *"with 2 stages on each rank cannot have 3 stages: use --stages 4 or another number of --chunks"* ]]
}

@test "make suggests a name and names the number to change" {
    run -2 "$WEIR" schedule make zb-h3 -p 2 -m 2
    [[ "$output" == *"did you mean 'zb-h1'"* ]]
    run -1 "$WEIR" schedule make interleaved -p 4 -m 9 -v 2
    [[ "$output" == *"use --microbatches 8 or --microbatches 12"* ]]
    run -1 "$WEIR" schedule make zbv -p 4 -m 8 -v 3
    [[ "$output" == *"use --chunks 2"* ]]
    run -2 "$WEIR" schedule make zbv -p 4
    [[ "$output" == *"-m M"* ]]
}

@test "check says valid, or why not" {
    "$WEIR" schedule make zbv -p 4 -m 8 -o zbv.csv
    run -0 "$WEIR" schedule check zbv.csv
    [[ "$output" == "valid under edge channels: 4 ranks, 8 stages, 8 micro-batches"* ]]
    printf '0F0,0B0,0F1,0B1\n1F1,1B1,1F0,1B0\n' > bad.csv
    run -1 --separate-stderr "$WEIR" schedule check bad.csv
    [ -z "$output" ]
    [[ "$stderr" == *"deadlock: 0B0 (row 1, cell 2) waits for 1B0 (row 2, cell 4), which comes after 1F1 (row 2, cell 1), which waits for 0F1 (row 1, cell 3)"* ]]
}

@test "check --json has the agreed keys" {
    "$WEIR" schedule make 1f1b -p 2 -m 3 -o s.csv
    run -0 "$WEIR" schedule check s.csv --json
    [ "$output" = '{"valid": true, "reason": null, "ranks": 2, "stages": 2, "microbatches": 3, "wgrad_order": "ascending", "boundaries": [[0, 1]]}' ]
    printf '0F0,0F1,0B1,0B0\n' > other.csv
    run -0 "$WEIR" schedule check other.csv --json
    [[ "$output" == *'"wgrad_order": "other"'* ]]
    printf '0F0junk\n' > junk.csv
    run -1 --separate-stderr "$WEIR" schedule check junk.csv --json
    [[ "$output" == *'"valid": false'*"trailing characters"* ]]
    [[ "$stderr" == *"row 1, cell 1"* ]]
}

@test "a rendezvous deadlock shows under blocking and not under edge" {
    "$WEIR" schedule make 1f1b -p 2 -m 4 --comms -o s.csv
    run -0 "$WEIR" schedule check s.csv --channels edge
    run -1 "$WEIR" schedule check s.csv --channels blocking
    [[ "$output" == *"0SEND_F1 (row 1, cell 4) waits for 1RECV_F1 (row 2, cell 5), which comes after 1SEND_B0 (row 2, cell 4), which waits for 0RECV_B0"* ]]
    run -2 "$WEIR" schedule check s.csv --channels bloking
    [[ "$output" == *"did you mean 'blocking'"* ]]
}

@test "simulate takes a name or a file and prints the agreed keys" {
    run -0 "$WEIR" schedule simulate zb-h1 -p 8 -m 32
    [[ "${lines[1]}" == "makespan     103" ]]
    "$WEIR" schedule make zb-h1 -p 8 -m 32 -o s.csv
    run -0 bash -c '"$WEIR" schedule simulate s.csv --json |
        "$JSON_GET" makespan ranks stages microbatches peak_activations busy.# busy.0 n_actions critical_path.0'
    [ "${lines[*]}" = '103 8 8 32 [8, 8, 8, 8, 8, 8, 8, 8] 8 96 768 "0F0"' ]
    run -0 bash -c '"$WEIR" schedule simulate s.csv --json | "$JSON_GET" bubble bubble_span | cut -c1-14'
    [ "${lines[*]}" = '0.067961165048 0.067961165048' ] # 7 / 103
    run -2 "$WEIR" schedule simulate s.csv -p 8
    [[ "$output" == *"leave out -p, -m and -v"* ]]
    run -2 "$WEIR" schedule simulate zb-h1
    [[ "$output" == *"-p P -m M"* ]]
}

@test "simulate has times, transfers, memory and channels" {
    run -0 "$WEIR" schedule simulate 1f1b -p 2 -m 2 --time F=2,I=1,W=0 --comm 0.5 --mem B=3,W=1 --channels shared --json
    [[ "$output" == *'"peak_activations": [6, 3]'* ]]
    run -2 "$WEIR" schedule simulate 1f1b -p 2 -m 2 --time B=2,I=1
    [[ "$output" == *"B takes I + W"* ]]
    run -2 "$WEIR" schedule simulate 1f1b -p 2 -m 2 --time F=x
    run -2 "$WEIR" schedule simulate 1f1b -p 2 -m 2 --comm -1
}

@test "a costs file and options that say the same thing are refused, and so is a part of the memory" {
    printf '{"stages": [{"F": 1, "I": 2, "W": 3, "mem_B": 8, "mem_W": 6, "mem_IW": 4}]}' >c.json
    run -0 "$WEIR" schedule simulate zb-h1 -p 1 -m 2 --costs c.json --json
    [[ "$output" == *'"peak_memory": [12]'* ]]
    run -2 "$WEIR" schedule simulate 1f1b -p 1 -m 2 --costs c.json --time F=5
    [[ "$output" == *"'c.json' has the times of F, I and W: leave out --time"* ]]
    run -2 "$WEIR" schedule simulate 1f1b -p 1 -m 2 --costs c.json --mem B=1,W=1
    [[ "$output" == *"leave out --mem"* ]]
    printf '{"optimizer": 4, "bucket_bytes": 9, "reduce_link": {"latency": 1}}' >o.json
    run -2 "$WEIR" schedule simulate 1f1b -p 1 -m 2 --costs o.json
    [[ "$output" == *"'o.json' has no stages or layers, so the times of F, I and W are missing: give --time"* ]]
    run -0 "$WEIR" schedule simulate 1f1b -p 1 -m 2 --costs o.json --time F=1,I=1,W=1
    [[ "$output" == *"makespan     10"* ]]
    run -2 "$WEIR" schedule simulate 1f1b -p 1 -m 2 --costs o.json --time F=1 --bucket-bytes 5
    [[ "$output" == *"leave out --bucket-bytes"* ]]
    run -2 "$WEIR" schedule simulate 1f1b -p 1 -m 2 --costs o.json --time F=1 --reduce-link L=5
    [[ "$output" == *"leave out --reduce-link"* ]]
    printf '{}' >none.json
    run -1 "$WEIR" schedule simulate 1f1b -p 1 -m 2 --costs none.json
    [[ "$output" == *"'none.json' has no costs"* ]]
    run -2 "$WEIR" schedule simulate 1f1b -p 1 -m 2 --mem B=3e9
    [[ "$output" == *"--mem needs B and W"* ]]
}

# Bytes of ACTIVATIONS on the rank that needs most, from the memory table.
packed() {
    "$WEIR" train --model gpt2-tiny "$@" --microbatches 16 --print-memory full |
        awk '$2 == "activations" && $3 + $4 > most { most = $3 + $4 } END { print most }'
}

@test "costs of a model give simulate the memory that the engine needs" {
    "$WEIR" schedule costs gpt2-tiny --stages 4 -o c.json
    for name in 1f1b zb-h1; do
        run -0 bash -c '"$WEIR" schedule simulate '$name' -p 4 -m 16 --costs c.json --json | "$JSON_GET" peak_memory'
        [[ "$output" == *"$(packed --stages 4 --schedule $name)"* ]]
    done
    run -1 "$WEIR" schedule simulate 1f1b -p 2 -m 4 --costs c.json
    [[ "$output" == *"the costs have 4 stages, the schedule has 2"* ]]
    run -3 "$WEIR" schedule costs gpt2-tiny --stages 99
    [[ "$output" == *"99 stages, but only 14 layers"* ]]
    run -2 "$WEIR" schedule costs gpt2-tin
    [[ "$output" == *"did you mean 'gpt2-tiny'"* ]]
    run -2 "$WEIR" schedule costs
}

@test "a time that cannot be added up is no deadlock" {
    run -1 --separate-stderr "$WEIR" schedule simulate 1f1b -p 2 -m 4 --time F=1e308 --json
    [ -z "$output" ]
    [[ "$stderr" == *"with stage 0 the times of all actions add up to more than 1.79769e+308"* ]]
}

@test "simulate counts steps by PyTorch's rule" {
    run -0 "$WEIR" schedule simulate gpipe -p 1 -m 3 --rule one-action-per-step --json
    [[ "$output" == '{"steps": 6,'* ]]
    run -2 "$WEIR" schedule simulate gpipe -p 1 -m 3 --rule one
}

@test "convert goes to comms and back, reads the old dialect, and draws a trace" {
    "$WEIR" schedule make zbv -p 2 -m 3 -o s.csv
    "$WEIR" schedule convert s.csv --to comms -o c.csv
    "$WEIR" schedule convert c.csv --to compute -o back.csv
    cmp s.csv back.csv
    printf '0F0,0B0,0W0\n' > old.csv
    run -0 "$WEIR" schedule convert old.csv --dialect torch-2024 --to compute
    [ "$output" = "0F0,0I0,0W0" ]
    run -0 "$WEIR" schedule convert old.csv --dialect torch-2024 --to torch
    [ "$output" = "0F0,0I0,0W0,0REDUCE_GRAD,0WAIT_REDUCE_GRAD" ]
    "$WEIR" schedule convert s.csv --to trace -o t.json
    "$JSON_GET" traceEvents.# <t.json
    run -0 bash -c "grep '\"ph\":\"X\".*\"tid\":0[,}]' t.json | grep -vc '\"cat\":\"wait\"'"
    [ "$output" -eq 36 ]
    run -2 "$WEIR" schedule convert s.csv
    run -2 "$WEIR" schedule convert s.csv --to svg
}

@test "a file that is not there, standard input, help" {
    run -1 "$WEIR" schedule check none.csv
    [[ "$output" == *"cannot open 'none.csv'"* ]]
    run -0 bash -c '"$WEIR" schedule make 1f1b -p 2 -m 2 | "$WEIR" schedule check -'
    run -0 "$WEIR" schedule --help
    run -0 "$WEIR" schedule simulate --help
    run -2 "$WEIR" schedule
    run -2 "$WEIR" schedule chek
    [[ "$output" == *"did you mean 'check'"* ]]
}

@test "convert to torch writes the waits that PyTorch's runtime asks for, and the older dialect none" {
    "$WEIR" schedule make 1f1b -p 2 -m 2 -o s.csv
    run -0 "$WEIR" schedule convert s.csv --to torch
    [ "${lines[0]}" = "0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0WAIT_SEND_F0,0RECV_B1,0B1,0WAIT_SEND_F1,0REDUCE_GRAD,0WAIT_REDUCE_GRAD" ]
    [ "${lines[1]}" = "1RECV_F0,1F0,1RECV_F1,1B0,1SEND_B0,1F1,1B1,1SEND_B1,1REDUCE_GRAD,1WAIT_REDUCE_GRAD,1WAIT_SEND_B0,1WAIT_SEND_B1" ]
    "$WEIR" schedule convert s.csv --to torch -o t.csv
    "$WEIR" schedule check t.csv
    [ "$("$WEIR" schedule convert t.csv --to torch)" = "$(cat t.csv)" ]
    [ "$("$WEIR" schedule convert t.csv --to compute)" = "$(cat s.csv)" ]
    run -0 "$WEIR" schedule convert t.csv --to torch --dialect torch-2025
    ! [[ "$output" =~ WAIT ]]
    run -0 "$WEIR" schedule convert s.csv --to reductions
    [ "${lines[0]}" = "0F0,0F1,0B0,0B1,0REDUCE_GRAD,0WAIT_REDUCE_GRAD" ]
    run -0 "$WEIR" schedule convert s.csv --to reductions --dialect torch-2025
    [ "${lines[0]}" = "0F0,0F1,0B0,0B1,0REDUCE_GRAD" ]
}

@test "a wait for nothing, a second wait and a missing one are named with row and cell" {
    "$WEIR" schedule make 1f1b -p 2 -m 2 | "$WEIR" schedule convert - --to torch -o t.csv
    sed '1s/0F0,/0F0,0WAIT_SEND_F0,/' t.csv > early.csv
    run ! "$WEIR" schedule check early.csv
    [[ "$output" == *"'early.csv': row 1, cell 2: 0WAIT_SEND_F0 waits for nothing: on its rank there is no earlier 0SEND_F0"* ]]
    sed '1s/$/,0WAIT_REDUCE_GRAD/' t.csv > twice.csv
    run ! "$WEIR" schedule check twice.csv
    [[ "$output" == *"row 1, cell 13: 0WAIT_REDUCE_GRAD is the second wait for 0REDUCE_GRAD"* ]]
    sed 's/,1WAIT_SEND_B1//' t.csv > short.csv
    run ! "$WEIR" schedule check short.csv
    [[ "$output" == *"row 2, cell 8: 1SEND_B1 is not waited for, other sends are: add 1WAIT_SEND_B1"* ]]
}

@test "an action too many is blamed on the row that has it" {
    printf '0F0,0F1,0B0,0F2,0B1,0B2\n1F1,1B0,1F2,1B1,1F3,1B2\n' > off.csv
    run ! "$WEIR" schedule check off.csv
    [[ "$output" == *"row 2, cell 5: 1F3 is the only action of micro-batch 3"* ]]
}

@test "names of schedules may be written in any case" {
    [ "$("$WEIR" schedule make ZBV -p 2 -m 4)" = "$("$WEIR" schedule make zbv -p 2 -m 4)" ]
    [ "$("$WEIR" schedule make GPipe -p 2 -m 4)" = "$("$WEIR" schedule make gpipe -p 2 -m 4)" ]
}

@test "PyTorch's runtime loads our lowered schedules and trains with the gradients of one device" {
    python="${WEIR_PYTHON:-python3}"
    "$python" -c "from torch.distributed.pipelining.schedules import WAIT_SEND_F" 2>/dev/null ||
        skip "no PyTorch 2.15 in '$python': name an interpreter with WEIR_PYTHON"
    run -0 timeout 120 "$python" "$BATS_TEST_DIRNAME/../soak/torch_runtime.py" "$WEIR" --quick
    [[ "$output" == *"15 of 15 load in PyTorch"* ]]
    [[ "$output" == *"14 of 14 dumps of PyTorch read"* ]]
}

@test "idle_mean shows the idle time that the busiest rank hides" {
    printf '{"stages": [{"F": 1, "I": 1, "W": 1}, {"F": 2, "I": 2, "W": 2}]}' > uneven.json
    "$WEIR" schedule simulate gpipe -p 2 -m 1 --costs uneven.json --json > out.json
    grep -q "\"idle_mean\": 0.5[,}]" out.json # busy 3 and 6 of 9
}

@test "a drawing in text has a row per rank, fits 80 columns and says how to see more" {
    run -0 env -u COLUMNS "$WEIR" schedule draw 1f1b -p 2 -m 2
    [ "${lines[0]}" = "1f1b: 2 ranks, 2 stages, 2 micro-batches, predicted" ]
    [ "${lines[3]}" = "     0  F0------F1------................B0==============........B1==============" ]
    [ "${lines[4]}" = "     1  ........F0------B0==============F1------B1==============................" ]
    [[ "$output" != *"narrower"* ]]
    run -0 env -u COLUMNS "$WEIR" schedule draw zbv -p 4 -m 32
    for line in "${lines[@]}"; do [ "${#line}" -le 80 ]; done
    [[ "$output" == *"are narrower than 2 columns:"*"see a part with --from "* ]]
    [[ "$output" != *$'\033'* ]]
    run -0 "$WEIR" schedule draw zbv -p 4 -m 32 --from 0 --to 12
    [[ "$output" != *"narrower"* ]]
    run -2 "$WEIR" schedule draw zbv -p 4 -m 32 --from 500
    [[ "$output" == *"nothing lies between 500 and "* ]]
}

@test "a drawing in SVG has every action and several schedules on one axis" {
    run -0 "$WEIR" schedule draw 1f1b zb-h1 -p 2 -m 3 -o both.svg
    [ -z "$output" ]
    [ "$(grep -c '<title>0F[0-9] on rank 0: ' both.svg)" -eq 6 ]
    [ "$(grep -c 'W[0-9] on rank' both.svg)" -eq 6 ]
    [ "$(grep -c 'class="t"' both.svg)" -eq 2 ]
    grep -q 'rank 1 waits 1 for input: 0F0 of rank 0' both.svg
    grep -q 'on the critical path' both.svg
    run -2 "$WEIR" schedule draw 1f1b -p 2 -m 3 -o both.png
    [[ "$output" == *"'both.png' ends in none of .txt, .svg, .html and .json"* ]]
}

@test "a page has several schedules, needs no network, and is chosen by the end of its name" {
    run -0 "$WEIR" schedule draw 1f1b zb-h1 -p 2 -m 3 -o both.html
    [ -z "$output" ]
    [ "$(grep -c '"title":' both.html)" -eq 2 ]
    ! grep -qE 'src=|href=|https?://' both.html
    run -0 bash -c '"$WEIR" schedule draw 1f1b -p 2 -m 3 --format html | head -c 15'
    [ "$output" = "<!DOCTYPE html>" ]
    run -0 "$WEIR" schedule simulate 1f1b -p 2 -m 3 --draw one.html
    grep -q '"title":"1f1b: 2 ranks' one.html
}

@test "simulate draws, traces and lists when every action starts and ends" {
    run -0 "$WEIR" schedule simulate dualpipev -p 2 -m 4 --comm 0.5 --draw s.svg --trace s.json --json
    json="$output"
    run -0 bash -c '"$JSON_GET" actions.0.rank actions.0.name actions.1.start actions.1.end <<<"$0"' "$json"
    [ "${lines[*]}" = '0 "0F0" 1 2' ]
    [[ "$json" == *"OVERLAP_F_B"* ]]
    grep -q '</svg>' s.svg
    run -0 bash -c '"$JSON_GET" traceEvents.# <s.json'
    run -2 "$WEIR" schedule simulate 1f1b -p 2 -m 4 --draw s.svg --trace s.svg
}

@test "a trace is drawn, with its schedule's prediction above it on one axis" {
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    "$WEIR" train --model gpt2-tiny --data text --stages 2 --schedule zb-h1 --microbatches 4 --microbatch-size 1 --seq-len 16 --steps 3 \
        -q --trace t.json
    run -0 env -u COLUMNS "$WEIR" schedule draw t.json --predict
    [ "${lines[0]}" = "t.json: 2 ranks, 2 stages, 4 micro-batches, predicted" ]
    [[ "${lines[1]}" == "makespan "*" ms, bubble "* ]]
    [[ "$output" == *"t.json: 2 ranks, 2 stages, 4 micro-batches, measured, step "[23]" of 3"* ]]
    for line in "${lines[@]}"; do [ "${#line}" -le 80 ]; done
    run -0 "$WEIR" schedule draw t.json --predict -o both.html
    [ "$(grep -c '"unit":"ms"' both.html)" -eq 2 ]
    run -0 "$WEIR" schedule draw t.json --step 1 --format svg
    [ "$(grep -c '<title>[01]W[0-3] on rank' <<<"$output")" -eq 8 ]
    run -0 bash -c '"$WEIR" schedule draw - <t.json'
    [[ "${lines[0]}" == "standard input: 2 ranks"* ]]
    run -2 "$WEIR" schedule draw t.json --step 4
    [[ "$output" == *"'t.json' has no step 4: it has 1 to 3" ]]
    run -2 "$WEIR" schedule draw t.json --format trace
    [[ "$output" == *"--format trace writes one prediction"* ]]
    sed 's/"pid": 1/"pid": 7/' t.json >bad.json
    run -1 "$WEIR" schedule draw bad.json
    [[ "$output" == *"'bad.json': traceEvents["*"]: 'pid' is 7, which its schedule has not: it is 0 to 1" ]]
}

@test "other schedules are predicted with the costs of a trace, in milliseconds" {
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    "$WEIR" train --model gpt2-tiny --data text --stages 2 --microbatches 4 --microbatch-size 1 --seq-len 16 --steps 2 -q --trace t.json
    run -0 --separate-stderr "$WEIR" schedule draw gpipe t.json -p 2 -m 8 --costs t.json
    [[ "${lines[0]}" == "gpipe: 2 ranks, 2 stages, 8 micro-batches, predicted" ]]
    [[ "${lines[1]}" == "makespan "*" ms, bubble "* ]]
    [ -z "$stderr" ]
    run -0 --separate-stderr "$WEIR" schedule draw gpipe t.json -p 2 -m 8
    [[ "$stderr" == *"'gpipe: 2 ranks, "*"' has no unit of time and stands on one axis with milliseconds: use --costs"* ]]
    run -1 "$WEIR" schedule draw gpipe -p 3 -m 8 --costs t.json
    [[ "$output" == *"'t.json': "*"2 stages"* ]]
    run -2 "$WEIR" schedule draw gpipe -p 2 -m 8 --costs t.json --time F=2
    [[ "$output" == *"'t.json' has the times of F, I and W: leave out --time"* ]]
}

@test "auto, replicas and costs of a whole rank are drawn too" {
    run -0 "$WEIR" schedule draw AUTO zb-h1 -p 2 -m 4 --memory-cap 2
    [[ "$output" == *"AUTO: 2 ranks, 2 stages, 4 micro-batches, predicted"*"zb-h1: 2 ranks, "* ]]
    run -2 "$WEIR" schedule draw zb-h1 -p 2 -m 4 --memory-cap 2
    [[ "$output" == *"--memory-cap is for the schedule auto, not for 'zb-h1'" ]]
    run -2 "$WEIR" schedule draw zb-h1 -p 2 -m 4 --predict
    [[ "$output" == *"--predict is for traces, and 'zb-h1' is none" ]]
    run -0 "$WEIR" schedule draw 1f1b -p 2 -m 2 --replicas 2 --reduce-link L=1 --stage-bytes P=1,G=1,O=1 --format svg
    [[ "$output" == *"<title>0REDUCE_GRAD on rank 0: 9 to 11 (2)"* ]]
    run -2 "$WEIR" schedule draw 1f1b -p 2 -m 2 --zero 1
    [[ "$output" == *"give --replicas of at least 2" ]]
    run -0 bash -c '"$WEIR" schedule draw zbv -p 4 -m 8 --per-rank | sed -n 2p'
    [[ "$output" == "makespan 25.5,"* ]]
}

@test "a wait is put down to the rank that made what was awaited, with overlaps and with two copies" {
    run -0 "$WEIR" schedule draw dualpipe -p 4 -m 8 -o two.svg
    run -0 bash -c "grep -c 'rank 3 waits .* for input: .*F.* of rank 3' two.svg || true"
    [ "$output" = 0 ]
    grep -q 'rank 0 waits .* of rank 1' two.svg
    grep -q 'rank 3 waits .* of rank 2' two.svg
}

# drawn VARIABLES: what a terminal gets
drawn() {
    env "$@" TERM=xterm script -qec "'$WEIR' schedule draw 1f1b -p 2 -m 2 --format text" /dev/null </dev/null
}

@test "draw colours on a terminal, unless NO_COLOR says no or the text goes elsewhere" {
    command -v script >/dev/null || skip "script is not installed"
    drawn | grep -q $'\e\['
    drawn NO_COLOR= | grep -q $'\e\['
    drawn NO_COLOR=1 >plain
    grep -q 'F0' plain
    ! grep -q $'\e\[' plain
    drawn | sed $'s/\e\\[[0-9;]*m//g' | cmp - plain
    "$WEIR" schedule draw 1f1b -p 2 -m 2 --format text >piped
    ! grep -q $'\e\[' piped
}

@test "a schedule that the paper makes by a search is told from a name typed wrong" {
    for name in ZB-1P zb2p; do
        run --separate-stderr "$WEIR" schedule simulate "$name" -p 2 -m 4
        [ "$status" -eq 2 ]
        [[ "$stderr" == *"'$name' is no fixed order, a search makes one for given costs and memory: use the schedule auto"* ]]
    done
}
