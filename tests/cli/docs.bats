#!/usr/bin/env bats
# What the pages show is what the command prints, as far as it does not depend on the machine.   labels: pure

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    docs=$WEIR_SOURCE_DIR/docs
}

# shown FILE COMMAND: what stands below the line `$ COMMAND`, up to the first line that is not indented.
shown() {
    awk -v line="    \$ $2" '$0 == line { on = 1; next } on && !/^    / { exit } on { print substr($0, 5) }' "$1"
}

one_step="weir train --model gpt2-tiny --stages 2 --microbatches 4 --microbatch-size 1"

@test "one step: the schedule" {
    "$WEIR" schedule make 1f1b -p 2 -m 4 >made
    shown "$docs/one-step.md" "weir schedule make 1f1b -p 2 -m 4" >page
    [ -s page ]
    diff page made
}

@test "one step: the program of rank 1" {
    # shellcheck disable=SC2086 # words
    "$WEIR" ${one_step#weir } --print-program | sed -n '/^# rank 1/,$p' >made
    shown "$docs/one-step.md" "$one_step --print-program" >page
    [ "$(wc -l <page)" -eq 14 ]
    diff page made
}

@test "one step: the memory of rank 1" {
    # shellcheck disable=SC2086 # words
    "$WEIR" ${one_step#weir } --print-memory full | sed '/^# .* parameters: /d' >made
    shown "$docs/one-step.md" "$one_step --print-memory full" | sed 's/ *(and 38 others)$//' |
        grep -v '^1 scratch\|^rank ' >page # these follow from the matrix library
    [ "$(wc -l <page)" -gt 15 ]
    grep -vxF -f made page && exit 1
    [ "$(grep -c '^1 params' made)" -eq 39 ]
}

@test "journeys: the plan" {
    "$WEIR" plan --model gpt2-tiny --devices 2 --output layers >made
    shown "$docs/journeys.md" "weir plan --model gpt2-tiny --devices 2 --output layers" >page
    [ -s page ]
    diff page made
}

# The options of `weir COMMAND [SUBCOMMAND]` in indented lines and in `code`, one "COMMAND [SUBCOMMAND] --option" a line.
# shellcheck disable=SC2016 # code marks, not expansions
options_shown() {
    cat "$WEIR_SOURCE_DIR/README.md" "$docs"/*.md | grep -v 'weir [a-z ]*: ' |
        grep -oE '^    .*\bweir [a-z].*|`weir [^`]*`' | sed 's/weir /\nweir /g' |
        grep -oE '^weir [a-z]+.*' | sed -E 's/[;|`].*//; s/   .*//' |
        awk '{ c = $2; if (c == "schedule" || c == "checkpoint" || c == "bench" || (c == "plan" && $3 == "evaluate")) c = c " " $3
               for (i = 3; i <= NF; i++) if ($i == "--") c = $(i + 1)
                                         else if ($i ~ /^--[a-z]/) print c, $i }' | sort -u
}

@test "every option of a command line in the pages is one of the command" {
    options_shown >options
    [ "$(wc -l <options)" -gt 40 ]
    while read -r line; do
        option=${line##* } command=${line% *}
        [ "$line" != "train --clip-grad" ] || continue # shown to be refused
        # shellcheck disable=SC2086 # words
        "$WEIR" $command --help | grep -qE -- "(^| )$option( |\$)" || { echo "'weir $command' has no option '$option'" && exit 1; }
    done <options
}
