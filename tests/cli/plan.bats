# weir plan: the exact command line, output forms and exit statuses.   labels: pure
bats_require_minimum_version 1.5.0
setup() {
    cd "$BATS_TEST_TMPDIR"
    cat >graph.json <<'JSON'
{"maxSizePerFPGA": 100, "maxFPGAs": 2, "maxCPUs": 1, "nodes": [
 {"id": 1, "supportedOnFpga": 1, "cpuLatency": 50, "fpgaLatency": 4, "isBackwardNode": 0, "size": 10},
 {"id": 2, "supportedOnFpga": 1, "cpuLatency": 50, "fpgaLatency": 3, "isBackwardNode": 0, "size": 10},
 {"id": 3, "supportedOnFpga": 1, "cpuLatency": 50, "fpgaLatency": 5, "isBackwardNode": 0, "size": 10}],
 "edges": [{"sourceId": 1, "destId": 2, "cost": 0.5}, {"sourceId": 2, "destId": 3, "cost": 0.25}]}
JSON
    printf 'a -- A -- forward_compute_time=1.0, backward_compute_time=1.0, activation_size=1e6, parameter_size=0.0\n' >graph.txt
    printf 'b -- B -- forward_compute_time=1.0, backward_compute_time=2.0, activation_size=1e6, parameter_size=0.0\n' >>graph.txt
    printf '\ta -- b' >>graph.txt
}

field() { "$JSON_GET" "$1"; }

@test "the best split of a chain is printed as JSON" {
    run --separate-stderr "$WEIR" plan --graph graph.json --devices 2 --json
    [ "$status" -eq 0 ]
    [ "$(field 'objective' <<<"$output")" = 7.25 ]
    [ "$(field 'lower_bound' <<<"$output")" = 7.25 ]
    [ "$(field 'gap' <<<"$output")" = 0 ]
    [ "$(field 'stages.0.nodes' <<<"$output")" = "[1, 2]" ]
    [ "$(field 'stages.1.load' <<<"$output")" = 5.25 ]
    [ "$(field 'stages.1.memory' <<<"$output")" = 10 ]
}

@test "the file says how many devices unless --devices does; --cpus defaults to 0" {
    run --separate-stderr "$WEIR" plan --graph graph.json --json
    [ "$(field 'devices' <<<"$output")" = 2 ]
    [ "$(field 'cpus' <<<"$output")" = 0 ]
}

@test "a curve ascends, needs no --devices and marks what does not fit" {
    run --separate-stderr "$WEIR" plan --graph graph.json --curve 1..3 --memory 20 --json
    [ "$status" -eq 0 ]
    [ "$(field 'curve.0.objective' <<<"$output")" = null ]
    [ "$(field 'curve.1.devices' <<<"$output")" = 2 ]
    [ "$(field 'curve.1.objective' <<<"$output")" = 7.25 ]
    [ "$(field 'curve.2.objective' <<<"$output")" = 5.25 ]
}

@test "no plan is exit status 3 with null, and the way out" {
    run --separate-stderr "$WEIR" plan --graph graph.json --devices 2 --memory 5 --json
    [ "$status" -eq 3 ]
    [ "$(field 'objective' <<<"$output")" = null ]
    [[ "$stderr" == *"--memory"* ]]
}

@test "evaluate scores Weir's, msr and graph.txt splits alike" {
    "$WEIR" plan --graph graph.json --devices 2 --output json >plan.json
    "$WEIR" plan --graph graph.json --devices 2 --output msr >plan.msr
    for plan in plan.json plan.msr; do
        run "$WEIR" plan evaluate --graph graph.json --plan $plan
        [ "$status" -eq 0 ]
        [[ "$output" == "objective 7.25 "*" contiguous" ]]
    done
    "$WEIR" plan --graph graph.txt --devices 2 --output pipedream >plan.txt
    grep -q 'stage_id=1' plan.txt
    run --separate-stderr "$WEIR" plan evaluate --graph graph.txt --plan plan.txt --json
    [ "$(field 'objective' <<<"$output" | cut -c1-7)" = 3.16666 ]
}

@test "free placement, objective, format and bandwidth are accepted; unknown words get a suggestion" {
    run --separate-stderr "$WEIR" plan --graph graph.json --format msr --devices 2 --any --seconds 0.1 --seed 3 --objective max-load --json
    [ "$status" -eq 0 ]
    run --separate-stderr "$WEIR" plan --graph graph.txt --format pipedream --devices 2 --bandwidth 1e6 --contiguous --json
    [ "$(field 'objective' <<<"$output")" = 5 ]
    run "$WEIR" plan --graph graph.json --devices 2 --objective pipr
    [ "$status" -eq 2 ]
    [[ "$output" == *"did you mean 'piper'"* ]]
    run "$WEIR" plan --graph graph.json --any --contiguous --devices 2
    [ "$status" -eq 2 ]
    run "$WEIR" plan --devices 2
    [ "$status" -eq 2 ]
    run "$WEIR" plan --graph graph.json --curve 3..1
    [ "$status" -eq 2 ]
}

@test "explain, drawing and saved graph" {
    run "$WEIR" plan --graph graph.json --devices 2 --explain --draw plan.dot --save-graph again.json
    [ "$status" -eq 0 ]
    [[ "$output" == *"objective 7.25 on 2 devices: optimal"* ]]
    [[ "$output" == *"slack"* ]]
    [[ "$output" == *"best single change"* ]]
    grep -q 'cluster_1' plan.dot
    run --separate-stderr "$WEIR" plan --graph again.json --json
    [ "$(field 'objective' <<<"$output")" = 7.25 ]
}

@test "a broken file is exit status 1 with file and reason" {
    echo '{"nodes": [' >broken.json
    run "$WEIR" plan --graph broken.json --devices 2
    [ "$status" -eq 1 ]
    [[ "$output" == *"'broken.json' line"* ]]
    run "$WEIR" plan --graph nowhere.json --devices 2
    [ "$status" -eq 1 ]
}

@test "help fits one screen" {
    run "$WEIR" plan --help
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -le 40 ]
    run "$WEIR" plan evaluate --help
    [ "$status" -eq 0 ]
}

@test "a model is priced with its replays; a cost graph has its prices already" {
    for list in none full 'h.*.mlp'; do
        run --separate-stderr "$WEIR" plan --model gpt2-tiny --devices 2 --objective max-load --recompute "$list" --json
        [ "$status" -eq 0 ]
        field 'objective' <<<"$output" >"objective.$list"
        field 'stages.0.memory' <<<"$output" >"memory.$list"
    done
    awk '{ v[FILENAME] = $1 } END {
        exit !(v["objective.none"] < v["objective.h.*.mlp"] && v["objective.h.*.mlp"] < v["objective.full"] &&
               v["memory.none"] > v["memory.h.*.mlp"] && v["memory.h.*.mlp"] > v["memory.full"]) }' objective.* memory.*
    run "$WEIR" plan --model gpt2-tiny --devices 2 --recompute h.0.mpl
    [ "$status" -eq 2 ]
    [[ "$output" == *"did you mean 'h.0.mlp'?"* ]]
    run "$WEIR" plan --graph graph.json --recompute full
    [ "$status" -eq 2 ]
    [[ "$output" == *"--recompute needs --model"* ]]
}

@test "a model in bf16 takes less time on links and in memory" {
    for dtype in f32 bf16; do
        run --separate-stderr "$WEIR" plan --model gpt2-tiny --devices 2 --objective max-load --dtype "$dtype" --json
        [ "$status" -eq 0 ]
        field 'objective' <<<"$output" >"objective.$dtype"
        field 'stages.0.memory' <<<"$output" >"memory.$dtype"
    done
    awk '{ v[FILENAME] = $1 } END {
        exit !(v["objective.bf16"] < v["objective.f32"] && v["memory.bf16"] < v["memory.f32"]) }' objective.* memory.*
    run "$WEIR" plan --model gpt2-tiny --devices 2 --dtype bf61
    [ "$status" -eq 2 ]
    [[ "$output" == *"did you mean 'bf16'?"* ]]
    run "$WEIR" plan --graph graph.json --dtype bf16
    [ "$status" -eq 2 ]
    [[ "$output" == *"--dtype needs --model"* ]]
}

@test "a cap that cannot be met names the node and its bytes, in every form of output" {
    for form in "" --explain --json "--output dot" "--output layers" "--output msr"; do
        run --separate-stderr "$WEIR" plan --graph graph.json --devices 2 --memory 5 $form
        [ "$status" -eq 3 ]
        [[ "$stderr" == *"node '1' needs 10 bytes, a device has 5: use more --memory"* ]]
        [[ "$output" != *"optimal"* && "$output" != *inf* ]]
    done
    run --separate-stderr "$WEIR" plan --graph graph.json --devices 2 --memory 5 --explain
    [[ "$output" == "no plan on 2 devices; "* ]]
    run --separate-stderr "$WEIR" plan --graph graph.json --devices 1 --memory 25
    [ "$status" -eq 3 ]
    [[ "$stderr" == *"all nodes need 30 bytes, 1 device of 25 hold"*"use more --devices or more --memory"* ]]
    run --separate-stderr "$WEIR" plan --graph graph.txt --devices 2 --memory 5 --output pipedream
    [ "$status" -eq 3 ]
    [ -z "$output" ]
}

@test "a cap of no bytes is refused, not taken for no cap" {
    for memory in 0 0.5 -1 nan inf; do
        run "$WEIR" plan --graph graph.json --devices 2 --memory $memory
        [ "$status" -eq 2 ]
        [[ "$output" == *"--memory takes bytes such as 512M or 4GiB, at least 1, not '$memory'"* ]]
    done
    "$WEIR" plan --graph graph.json --devices 2 --json >plan.json
    run "$WEIR" plan evaluate --graph graph.json --plan plan.json --memory 0
    [ "$status" -eq 2 ]
    for command in train generate; do
        run "$WEIR" $command --model gpt2-tiny --device-memory 0.5
        [ "$status" -eq 2 ]
        [[ "$output" == *"--device-memory takes bytes such as 512M or 4GiB, at least 1, not '0.5'"* ]]
    done
    sed 's/"maxSizePerFPGA": 100/"maxSizePerFPGA": 0/' graph.json >nothing.json
    run "$WEIR" plan --graph nothing.json --devices 2
    [ "$status" -eq 1 ]
    [[ "$output" == *"'nothing.json': the memory of a device is 0 bytes"* ]]
}

@test "a misspelt key of our own formats is an error with a suggestion" {
    "$WEIR" plan --graph graph.json --devices 2 --save-graph own.json --json >plan.json
    sed 's/"memory"/"memroy"/' own.json >wrong.json
    run "$WEIR" plan --graph wrong.json --devices 2
    [ "$status" -eq 1 ]
    [[ "$output" == *"'wrong.json': document: unknown key 'memroy': did you mean 'memory'?"* ]]
    sed 's/"stages"/"devcies": 2, "stages"/' plan.json >wrong.json
    run "$WEIR" plan evaluate --graph graph.json --plan wrong.json
    [ "$status" -eq 1 ]
    [[ "$output" == *"'wrong.json': document: unknown key 'devcies': did you mean 'devices'?"* ]]
    run "$WEIR" plan evaluate --graph own.json --plan plan.json
    [ "$status" -eq 0 ]
}

@test "without time there is still the plan that needs no search" {
    cat >diamond.json <<'JSON'
{"format": "weir-cost-graph", "nodes": [{"id": "a", "forward": 2}, {"id": "b", "forward": 2}, {"id": "c", "forward": 2},
 {"id": "d", "forward": 2}], "edges": [{"from": "a", "to": "b", "cost": 1}, {"from": "a", "to": "c", "cost": 1},
 {"from": "b", "to": "d", "cost": 1}, {"from": "c", "to": "d", "cost": 1}]}
JSON
    run --separate-stderr "$WEIR" plan --graph diamond.json --devices 2 --seconds 0.001 --json
    [ "$status" -eq 0 ]
    [ "$(field 'objective' <<<"$output")" != null ]
}

@test "a drawing without Graphviz is an error that says so, and leaves no file" {
    mkdir empty
    run env PATH="$PWD/empty" "$WEIR" plan --graph graph.json --devices 2 --draw plan.svg
    [ "$status" -eq 1 ]
    [[ "$output" == *"cannot draw 'plan.svg': Graphviz's program 'dot' is not there"*"ends in .dot"* ]]
    [ ! -e plan.svg ]
    mkdir bin
    printf '#!/bin/sh\nexit 3\n' >bin/dot && chmod +x bin/dot # ends without reading what it is given
    run env PATH="$PWD/bin" "$WEIR" plan --graph graph.json --devices 2 --draw plan.svg
    [ "$status" -eq 1 ]
    [[ "$output" == *"'dot' ended with status 3"* ]]
    [ ! -e plan.svg ]
}

@test "a drawing is what Graphviz makes of the text, whatever the name" {
    mkdir bin
    printf '#!/bin/sh\necho "<svg>$1"\ncat\n' >bin/dot && chmod +x bin/dot
    run env PATH="$PWD/bin:$PATH" "$WEIR" plan --graph graph.json --devices 2 --draw "it's; a plan.svg"
    [ "$status" -eq 0 ]
    [ "$(head -n 1 "it's; a plan.svg")" = "<svg>-Tsvg" ]
    grep -q 'cluster_1' "it's; a plan.svg"
}

@test "a pipe, a device or a folder given as graph or as plan is refused by name and not waited for" {
    mkfifo pipe
    mkdir folder
    for path in pipe /dev/zero folder; do
        run timeout 60 "$WEIR" plan --graph $path --devices 2
        [ "$status" -eq 1 ]
        [[ "$output" == *"'$path' is a "* ]]
        run timeout 60 "$WEIR" plan evaluate --graph graph.json --plan $path
        [ "$status" -eq 1 ]
        [[ "$output" == *"'$path' is a "* ]]
    done
}

@test "the stages of a split are costs for weir schedule" {
    "$WEIR" plan --model gpt2-tiny --output costs --devices 4 >"$BATS_TEST_TMPDIR/costs.json"
    run "$WEIR" schedule simulate interleaved -p 2 -v 2 -m 4 --costs "$BATS_TEST_TMPDIR/costs.json"
    [ "$status" -eq 0 ]
    [[ "$output" == *"2 ranks, 4 stages, 4 micro-batches"* ]]
    "$WEIR" plan --model gpt2-tiny --output costs -p 2 -v 2 | cmp - "$BATS_TEST_TMPDIR/costs.json"
    for key in grad_bytes optimizer_bytes mem_IW; do # those of the compiled stages, as for any other cut of them
        "$WEIR" schedule costs gpt2-tiny --stages 4 | grep -o "\"$key\": [0-9]*" >compiled
        grep -o "\"$key\": [0-9]*" "$BATS_TEST_TMPDIR/costs.json" | diff compiled -
    done
    "$WEIR" plan --model gpt2-tiny --output costs -p 2 --dtype bf16 --recompute full | grep -q '"optimizer_bytes": [1-9]'
    while IFS='|' read -r arguments words; do
        # shellcheck disable=SC2086
        run "$WEIR" plan --model gpt2-tiny $arguments
        [[ "$status" -eq 2 && "$output" == *"$words"* ]] || { echo "$arguments: $status $output"; false; }
    done <<'ROWS'
-p 2|--ranks is for --output costs or layout
-v 2 --output costs|--chunks is about the stages of a rank
-p 2 --output costs --devices 4|--devices and --ranks both say how many stages
-p 65536 -v 2 --output costs|more than 65536 stages
ROWS
    for form in costs layout; do
        run "$WEIR" plan --model gpt2-tiny --output "$form" -p 3 -v 99
        [[ "$status" -eq 1 && "$output" == *"the model was cut into 13 stages, more have nothing to do: give smaller --ranks or --chunks"* ]]
    done
}

@test "costs by hand come from standard input, as JSON or CSV" {
    run bash -c 'printf "stage,F,B\n0,1,2\n1,1,2\n" | "$WEIR" schedule simulate 1f1b -p 2 -m 4 --costs -'
    [[ "$status" -eq 0 && "$output" == *"makespan     15"* ]]
    run bash -c 'echo "{\"stages\": [{\"F\": 1, \"B\": 2}]}" | "$WEIR" schedule simulate 1f1b -p 2 -m 4 --costs -'
    [[ "$status" -eq 0 && "$output" == *"makespan     15"* ]]
    run bash -c ': | "$WEIR" schedule simulate 1f1b -p 2 -m 4 --costs -'
    [[ "$status" -eq 1 && "$output" == *"'standard input' is empty"* ]]
}
