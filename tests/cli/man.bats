#!/usr/bin/env bats
# Man pages, as the build made them.   labels: pure

setup() {
    pages=("$WEIR_BINARY_DIR"/man/*.1)
}

commands() {
    "$WEIR" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'
}

@test "every command has a page, and every page a command" {
    [ "$(commands | wc -l)" -ge 1 ]
    [ "$(commands | sort)" = "$(basename -s .1 -a "${pages[@]}" | sed 's/^weir-//' | sort)" ]
}

@test "a page has the sections that man(1) looks for, in order" {
    for page in "${pages[@]}"; do
        echo "$page"
        [[ $(head -n 1 "$page") == .TH\ WEIR-* ]]
        [ "$(grep '^\.SH' "$page" | head -n 3 | tr '\n' ' ')" = ".SH NAME .SH SYNOPSIS .SH OPTIONS " ]
        grep -A 1 '^\.SH NAME' "$page" | tail -n 1 | grep -q "^$(basename -s .1 "$page") .- [a-z]"
    done
}

@test "a page has every option that --help has" {
    for command in $(commands); do
        page=$WEIR_BINARY_DIR/man/weir-$command.1
        for option in $("$WEIR" "$command" --help all | sed -n 's/^ .* --\([a-z-]*\).*/\1/p' | grep -vx help); do
            echo "$command $option"
            tr -d '\\' <"$page" | grep -q -- "--$option"
        done
    done
}

@test "a page is troff without warnings" {
    if command -v mandoc >/dev/null; then
        for page in "${pages[@]}"; do
            run mandoc -T lint -W error "$page"
            echo "$output"
            [ "$status" -eq 0 ]
        done
    elif command -v groff >/dev/null; then
        for page in "${pages[@]}"; do
            run groff -man -Tutf8 -ww -z "$page"
            echo "$output"
            [ -z "$output" ]
        done
    else
        skip "neither mandoc nor groff is here"
    fi
}
