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

@test "training with auto has the bits of one stage" {
    for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    trained() {
        "$WEIR" train --model gpt2-tiny --data text --microbatches 6 --microbatch-size 1 --seq-len 8 --steps 2 -q --export "$@"
    }
    trained one --stages 1
    trained three --stages 3 --schedule auto
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
    printf '0F0,0F1,0F2,0B2,0B1,0B0\n1F0,1F1,1F2,1B0,1B1,1B2\n' >slots.csv
    run -1 "$WEIR" train --model gpt2-tiny --data data.txt --schedule ./slots.csv --steps 1
    [[ "$output" == *"'./slots.csv': stage 0 has 2 gradient slots, and 0B2 on rank 0 needs 3"* ]]
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
    [[ "$stderr" == *"deadlock: rank 0 waits in 0RECV_B0 for rank 1, which waits in 1RECV_F1"* ]]
}

@test "check --json has the agreed keys" {
    "$WEIR" schedule make 1f1b -p 2 -m 3 -o s.csv
    run -0 "$WEIR" schedule check s.csv --json
    [ "$output" = '{"valid": true, "reason": null, "ranks": 2, "stages": 2, "microbatches": 3, "wgrad_order": "ascending"}' ]
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
    [[ "$output" == *"rank 0 waits in 0SEND_F1 for rank 1, which waits in 1SEND_B0 for rank 0"* ]]
    run -2 "$WEIR" schedule check s.csv --channels bloking
    [[ "$output" == *"did you mean 'blocking'"* ]]
}

@test "simulate takes a name or a file and prints the agreed keys" {
    run -0 "$WEIR" schedule simulate zb-h1 -p 8 -m 32
    [[ "${lines[1]}" == "makespan     103" ]]
    "$WEIR" schedule make zb-h1 -p 8 -m 32 -o s.csv
    run -0 bash -c '"$WEIR" schedule simulate s.csv --json |
        "$JSON_GET" makespan ranks stages microbatches peak_activations busy.# busy.0 actions critical_path.0'
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
    run -2 "$WEIR" schedule simulate 1f1b -p 2 -m 2 --time B=2
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
    [[ "$output" == *"'o.json' has no stages, so the times of F, I and W are missing: give --time"* ]]
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
    "$WEIR" train --model gpt2-tiny "$@" --microbatches 16 --print-memory |
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
    [ "$output" = "0F0,0B0" ]
    "$WEIR" schedule convert s.csv --to trace -o t.json
    "$JSON_GET" traceEvents.# <t.json
    run -0 grep -c '"ph":"X".*"tid":0[,}]' t.json
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
