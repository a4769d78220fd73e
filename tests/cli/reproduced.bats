#!/usr/bin/env bats
# docs/reproduced.md: every command prints what the page shows, every row of its tables comes out.   labels: pure

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    page=$WEIR_SOURCE_DIR/docs/reproduced.md
}

@test "reproduced: the commands print what the page shows" {
    n=0
    while IFS= read -r command; do
        # shellcheck disable=SC2086 # words
        "$WEIR" ${command#weir } >made
        awk -v line="    \$ $command" '$0 == line { on = 1; next } on && !/^    / { exit } on { print substr($0, 5) }' "$page" >shown
        diff shown made
        n=$((n + 1))
    done < <(sed -n 's/^    \$ //p' "$page")
    [ "$n" -ge 2 ]
}

# The span that the command gives, as the paper writes it.
span() { # NAME P M F I W COMM [OPTIONS]
    local name=$1 p=$2 m=$3 f=$4 i=$5 w=$6 comm=$7
    shift 7
    "$WEIR" schedule simulate "$name" -p "$p" -m "$m" --time "F=$f,I=$i,W=$w" --comm "$comm" --csv "$@" |
        awk -F, 'NR == 2 { printf "%.4f", $8 }'
}

@test "reproduced: 36 bubble rates of the zero-bubble paper, and ours where the paper has others" {
    n=0
    while IFS='|' read -r _ _ p m costs f1b h1 h2 interleaved _; do
        read -r v _ <<<"${interleaved##*v = }"
        # shellcheck disable=SC2086 # words
        [ "$(span 1f1b $p $m $costs) $(span zb-h1 $p $m $costs) $(span zb-h2 $p $m $costs)" = "$(echo $f1b $h1 $h2)" ]
        # shellcheck disable=SC2086 # words
        [ "$(span interleaved $p $m $costs -v "${v%:}" --per-rank)" = "$(echo ${interleaved##*→})" ]
        n=$((n + 1))
    done < <(grep -E '^\| [0-9.]+B \|' "$page")
    [ "$n" -eq 12 ]
}

@test "reproduced: 16 measured iterations within 2 %" {
    n=0
    while IFS='|' read -r _ run forward backward measured ours difference _; do
        paste -d' ' <(tr -s ' ' '\n' <<<"$forward" | grep .) <(tr -s ' ' '\n' <<<"$backward" | grep .) |
            awk 'BEGIN { printf "{\"stages\": [" }
                 { printf "%s{\"F\": %.3f, \"B\": %.3f}", (NR > 1 ? ", " : ""), $1 / 1000, $2 / 1000 } END { print "]}" }' >costs.json
        "$WEIR" schedule simulate 1f1b -p 8 -m 128 --costs costs.json --csv |
            awk -F, -v run="$run" -v measured="$measured" -v ours="$ours" -v difference="$difference" 'NR == 2 {
                made = sprintf("%.1f %.2f", $6, 100 * ($6 / measured - 1)); page = ours " " difference
                gsub(/[ %]+/, " ", page); gsub(/^ | $/, "", page)
                if (made != page || made + 0 > measured || $6 < 0.98 * measured) { print run, made, "page", page; exit 1 } }'
        n=$((n + 1))
    done < <(grep -E '^\| (base|redis)_' "$page")
    [ "$n" -eq 16 ]
}

@test "reproduced: the V schedules hold what their paper says" {
    "$WEIR" schedule simulate v-half v-min zbv -p 4,8,12 -m 64 --csv | awk -F, '
        NR == 1 { next }
        { p = $2; want = $1 == "v-half" ? int((p + 2) / 2) : $1 == "v-min" ? int((p + 4) / 3) : p
          if ($10 != want) { print; bad = 1 } n++ }
        END { exit bad || n != 9 }'
}
