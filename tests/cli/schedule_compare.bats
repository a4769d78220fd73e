# weir schedule compare, and many schedules in simulate.
bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR"
    docs="$BATS_TEST_DIRNAME/../../docs"
}

@test "compare lists every schedule of a size, the fastest first, and why the others are not there" {
    run -0 "$WEIR" schedule compare -p 8 -m 32
    [ "${lines[0]}" = "8 ranks, 32 micro-batches" ]
    [[ "${lines[1]}" == "schedule "*" v   makespan   bubble     span     idle    M_B  messages    shared" ]]
    [[ "${lines[2]}" == "interleaved-zb "*" 2       99.5   3.52 %   3.52 %   3.52 %      8       960 "*"+24.12 %" ]]
    [[ "$output" == *"inference -p 8 -m 32: it has forwards only"* ]]
    [[ "${lines[-1]}" == "best: interleaved-zb with 2 chunks, 99.5" ]]
    run -0 bash -c '"$WEIR" schedule compare -p 5 -m 11 --json >all.json; "$JSON_GET" "schedules.#" "left_out.#" <all.json'
    [ $((lines[0] + lines[1])) -eq "$("$WEIR" schedule list --json | "$JSON_GET" "#")" ]
    run -0 "$WEIR" schedule compare -p 5 -m 11
    [[ "$output" == *"  dualpipe -p 5 -m 11: "* && "$output" == *"  interleaved -p 5 -m 11: "*"use --microbatches"* ]]
}

@test "the table of docs/schedules.md is what the command prints" {
    "$WEIR" schedule compare -p 8 -m 32 -v 1,2,4 --csv 2>left.txt >table.csv
    "$WEIR" schedule compare interleaved-zb -p 8 -m 32 -v 4 --group-size 4 --csv | tail -1 >>table.csv
    "$WEIR" schedule compare seq1f1b -p 8 -m 32 --slices 4 --csv | tail -1 >>table.csv
    sed -n '/^| schedule | v | makespan/,/^$/p' "$docs/schedules.md" | tail -n +3 | grep '^|' |
        awk -F ' *\\| *' '{ name = $2; g = 0; if (sub(/, g = 4/, "", name)) g = 4; sub(/, k = 4/, "", name)
                            print name "," $3 "," g "," $4 "," $5 "," $6 "," $7 }' >docs.txt
    [ "$(wc -l <docs.txt)" -ge 17 ]
    while IFS=, read -r name v g makespan bubble span peak; do
        awk -F, -v name="$name" -v v="$v" -v g="$g" -v want="$makespan ${bubble%% *} ${span%% *} $peak" '
            $1 == name && $3 == v && $4 == g {
                got = sprintf("%.6g %.1f %.1f %.6g", $6, 100 * $7, 100 * $8, $10); sub(/ 0\.0 /, " 0 ", got); n++
                if (got != want) { print name, "docs:", want, "command:", got; bad = 1 }
            }
            END { exit bad || n != 1 }' table.csv || { echo "row of $name, v = $v"; false; }
    done <docs.txt
}

@test "max-peak asks for the best under so many M_B, memory-cap in the unit of --mem" {
    run -0 "$WEIR" schedule compare -p 8 -m 32 -v 1,2,4 --group-size 4 --max-peak 5
    [[ "$output" == *"best under 5 M_B: interleaved-zb with 4 chunks, 101.5"* ]]
    [[ "$output" == *"  zb-h1 -p 8 -m 32 -v 1: a rank holds 8 M_B, --max-peak is 5"* ]]
    [ "$(grep -c "  v-half" <<<"$output")" -eq 0 ] # v = 1 and 4 it has not, but 2
    run -0 "$WEIR" schedule compare -p 4 -m 8 --mem B=100,W=60 --memory-cap 350
    [[ "$output" == *"zb-h1 -p 4 -m 8 -v 1: a rank holds "*", --memory-cap is 350"* ]]
    run -1 "$WEIR" schedule compare -p 4 -m 8 --max-peak 0.5
    [[ "$output" == *"no schedule is left; "*"M_B, --max-peak is 0.5"* ]]
}

@test "auto takes part when it is asked for, and is never behind a single-copy schedule that fits the cap" {
    run -0 "$WEIR" schedule compare -p 4 -m 8 --time F=1,I=1.3,W=0.4 --memory-cap 4 --auto --csv
    awk -F, '
        $1 == "auto" { auto[$3] = $6 }
        NR > 1 && $1 != "chimera" && (!best[$3] || $6 < best[$3]) { best[$3] = $6 }
        END { exit !(auto[1] > 0 && auto[1] == best[1] && auto[2] > 0 && auto[2] == best[2]) }' <<<"$output"
    run -2 "$WEIR" schedule compare -p 4 -m 8 --objective span
    [[ "$output" == *"--objective is for the schedule auto: give --auto"* ]]
}

@test "sweeps of ranks, micro-batches and names stand in one table" {
    run -0 --separate-stderr "$WEIR" schedule simulate 1f1b ZBV -p 2,4 -m 8..12:4,16 --csv
    [ "${#lines[@]}" -eq 13 ]
    [ "${lines[1]%%,0.*}" = "1f1b,2,1,0,8,27" ]
    [[ "${lines[12]}" == "ZBV,4,2,0,16,99,"* ]]
    run -0 "$WEIR" schedule simulate interleaved -p 4 -m 8..10
    [[ "$output" == *"  interleaved -p 4 -m 9: 9 micro-batches do not divide into 2 rounds"* ]]
    run -0 bash -c '"$WEIR" schedule simulate gpipe 1f1b -p 2 -m 4 --json | "$JSON_GET" schedules.1.schedule schedules.1.makespan'
    [ "${lines[*]}" = '"1f1b" 15' ]
    run -0 "$WEIR" schedule compare 1f1b zb-h1 -p 2,4 -m 8
    [[ "$output" == *"best at p = 2, m = 8: zb-h1, 25"*"best at p = 4, m = 8: zb-h1, "* ]]
    for bad in 5..3 0 8.. ,8 8..16:0 8:2 x 1..99999; do
        run -2 "$WEIR" schedule simulate 1f1b -p 2 -m "$bad"
        [[ "$output" == *"--microbatches "* ]]
    done
    run -2 "$WEIR" schedule simulate 1f1b zbv -p 2 -m 4 --draw s.svg
    [[ "$output" == *"--draw takes one schedule"* ]]
    run -2 "$WEIR" schedule compare 1f1b -m 8
    [[ "$output" == *"-p P -m M"* ]]
}

@test "a file is compared with the schedules of its size" {
    "$WEIR" schedule make zb-h1 -p 4 -m 8 -o mine.csv
    run -0 --separate-stderr "$WEIR" schedule compare mine.csv 1f1b zb-h1 -p 4 -m 8 --csv
    [ "${lines[1]#mine.csv}" = "${lines[2]#zb-h1}" ]
    [[ "${lines[3]}" == "1f1b,"* ]]
}

@test "per-rank divides times and memory by the chunks of a rank" {
    run -0 "$WEIR" schedule simulate interleaved -p 8 -m 32 -v 4 --per-rank
    [ "${lines[1]}" = "makespan     101.25" ]
    [[ "${lines[*]}" == *" 9.75"* ]]
    run -0 "$WEIR" schedule simulate interleaved -p 8 -m 32 -v 4
    [ "${lines[1]}" = "makespan     405" ]
    run -0 "$WEIR" schedule make auto -p 2 -v 2 -m 4 --per-rank -o auto.csv
    [[ "$output" == *"makespan 12.5, "* ]]
    printf '{"stages": [{"F": 1, "I": 1, "W": 1}, {"F": 1, "I": 1, "W": 1}]}' >stages.json
    run -2 "$WEIR" schedule simulate 1f1b -p 2 -m 4 --per-rank --costs stages.json
    [[ "$output" == *"'stages.json' has the costs of stages: leave out --per-rank"* ]]
    run -0 "$WEIR" schedule compare -p 2 -m 4 --costs stages.json
    [[ "$output" == *"zbv -p 2 -m 4: 'stages.json': the costs have 2 stages, the schedule has 4"* ]]
}

@test "costs of layers are put together to as many stages as a schedule has" {
    printf '{"layers": [{"F":1,"I":1,"W":1},{"F":1,"I":1,"W":1},{"F":1,"I":1,"W":1},{"F":3,"I":3,"W":3}]}' >layers.json
    for shape in "1f1b -p 2" "zbv -p 2" "gpipe -p 1" "1f1b -p 4" "auto -p 2 -v 2"; do
        run -0 "$WEIR" schedule simulate $shape -m 4 --costs layers.json
    done
    run -0 bash -c '"$WEIR" schedule simulate 1f1b -p 2 -m 4 --costs layers.json --json | "$JSON_GET" busy'
    [ "$output" = "[36, 36]" ]
    run -1 "$WEIR" schedule simulate zbv -p 4 -m 8 --costs layers.json
    [[ "$output" == *"'layers.json' has 4 layers, not enough for 8 stages"* ]]
    run -0 "$WEIR" schedule draw 1f1b -p 2 -m 4 --costs layers.json
    [[ "${lines[1]}" == "makespan 45, "* ]]
    run -2 "$WEIR" schedule simulate 1f1b -p 2 -m 4 --costs layers.json --time F=1
    [[ "$output" == *"has the times of F, I and W: leave out --time"* ]]
    printf '{"layers": [{"F":1,"I":1,"W":1}], "stages": [{"F":1,"I":1,"W":1}]}' >both.json
    run -1 "$WEIR" schedule simulate 1f1b -p 1 -m 4 --costs both.json
    [[ "$output" == *"has 'stages' and 'layers': give one of them"* ]]
}

@test "B alone is taken as half input gradient, half weight gradient, and that is said where it matters" {
    run -0 --separate-stderr "$WEIR" schedule simulate zb-h1 -p 2 -m 4 --time F=1,B=2
    [ "${lines[1]}" = "makespan     13" ]
    [[ "$stderr" == *"B is taken as half input gradient, half weight gradient"* ]]
    run -0 --separate-stderr "$WEIR" schedule simulate 1f1b -p 2 -m 4 --time F=1,B=2
    [ -z "$stderr" ]
    printf '{"stages": [{"F":1,"B":2},{"F":1,"B":4}]}' >b.json
    run -0 --separate-stderr "$WEIR" schedule simulate zb-h1 -p 2 -m 4 --costs b.json
    [[ "$stderr" == *"B is taken as half"* ]]
    printf '{"stages": [{"F":1,"B":2,"W":1},{"F":1,"B":4}]}' >b.json
    run -1 "$WEIR" schedule simulate zb-h1 -p 2 -m 4 --costs b.json
    [[ "$output" == *"'b.json' stage 0: 'B' is I and W together"* ]]
}

@test "compare draws what it lists as one page, the fastest on top" {
    "$WEIR" schedule make gpipe -p 2 -m 4 -o mine.csv
    run -0 "$WEIR" schedule compare mine.csv 1f1b interleaved-zb auto -p 2 -m 4 -v 2,1 --group-size 4 --html page.html
    [[ "$output" == *"best: "* ]]
    [ "$(grep -o '"title":"[^"]*' page.html | head -1)" = '"title":"auto: 2 ranks, 4 stages, 4 micro-batches, predicted' ] ||
        { grep -o '"title":"[^"]*' page.html; false; }
    [ "$(grep -o '"title":"[^"]*predicted' page.html | wc -l)" -eq "$(grep -cE '^[a-z1.-]+ .* %' <<<"$output")" ]
    run -2 "$WEIR" schedule compare -p 2..9 -m 4..9 --html many.html
    [[ "$output" == *"--html draws at most 32 schedules"* ]]
    run -2 "$WEIR" schedule compare mine.csv -p 2 -m 4 --html mine.csv
}
