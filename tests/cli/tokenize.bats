#!/usr/bin/env bats
# weir tokenize: texts as files of tokens.

bats_require_minimum_version 1.5.0
load small_tokenizer

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 60); do printf 'the %d th thing, thus\n' "$i"; done >book.txt
    mkdir model
    printf '{"model_type": "gpt2", "n_embd": 32, "n_head": 2, "n_layer": 2, "n_positions": 64, "vocab_size": 258}' >model/config.json
    tokenizer_write model
}

tokenize() {
    "$WEIR" tokenize --tokenizer model -q "$@"
}

# The tokens of a file with a header, one per line.
tokens_of() {
    od -An -v -tu2 -w2 -j1024 "$1" | tr -d ' '
}

losses() {
    "$WEIR" train --model model --microbatches 2 --microbatch-size 2 --seq-len 8 --steps 3 -q --metrics m --force "$@" >/dev/null
    grep -o '"loss": [^,]*' m
}

@test "what is written trains as the text does, to the bit" {
    tokenize book.txt -o book.bin
    losses --data book.txt >of_text
    [ "$(wc -l <of_text)" -eq 3 ]
    losses --data book.bin | cmp of_text -
    printf '{"text": "the thing"}\n{"text": "thus"}\n\n{"id": 7, "text": "another thing, and that, and more"}\n' >lines.jsonl
    tokenize lines.jsonl -o lines.bin
    losses --data lines.jsonl >of_lines
    losses --data lines.bin | cmp of_lines -
    cp book.txt other.txt
    tokenize book.txt other.txt -o both.bin
    losses --data book.txt,other.txt >of_both
    losses --data both.bin | cmp of_both -
}

@test "the tokens are the tokenizer's, with the end of text between two texts" {
    printf 'the' >a.txt
    printf 'moth' >b.txt
    tokenize a.txt b.txt -o out.bin
    [ "$(tokens_of out.bin | paste -sd' ')" = "256 101 257 109 111 256" ]
    tokenize a.txt b.txt -o out.bin --eod none
    [ "$(tokens_of out.bin | paste -sd' ')" = "256 101 109 111 256" ]
    tokenize a.txt b.txt -o out.bin --eod 10
    [ "$(tokens_of out.bin | paste -sd' ')" = "256 101 10 109 111 256" ]
    "$WEIR" tokenize --tokenizer bytes a.txt b.txt -o out.bin -q
    [ "$(tokens_of out.bin | paste -sd' ')" = "116 104 101 109 111 116 104" ]
    encode <book.txt >wanted
    tokenize book.txt -o out.bin
    tokens_of out.bin | cmp wanted -
}

@test "--text-field names the string of JSON Lines" {
    printf '{"text": "no", "content": "the"}\n{"content": "moth"}\n' >lines.jsonl
    tokenize lines.jsonl --text-field content -o out.bin
    [ "$(tokens_of out.bin | paste -sd' ')" = "256 101 257 109 111 256" ]
    run --separate-stderr tokenize lines.jsonl -o out.bin
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"'lines.jsonl' line 2 has no string 'text'"* ]]
    run --separate-stderr tokenize lines.jsonl --text-field body -o out.bin
    [[ "$stderr" == *"'lines.jsonl' line 1 has no string 'body'"* ]]
}

@test "gzip is unpacked, a pattern and a list are taken" {
    printf 'the' >a.txt
    printf 'moth' >b.txt
    gzip b.txt
    tokenize 'a*.txt,b.txt.gz' -o out.bin
    [ "$(tokens_of out.bin | paste -sd' ')" = "256 101 257 109 111 256" ]
}

@test "--val-fraction cuts the end of a text, and takes every so many lines" {
    encode <book.txt >all
    n=$(wc -l <all) last=$(($(wc -l <all) / 10))
    tokenize book.txt -o out.bin --val-fraction 0.1
    [ ! -e out.bin ]
    head -n $((n - last)) all | cmp - <(tokens_of out.train.bin)
    tail -n "$last" all | cmp - <(tokens_of out.val.bin)
    for i in $(seq 10); do printf '{"text": "%d"}\n' $((i - 1)); done >lines.jsonl
    tokenize lines.jsonl -o lines.bin --val-fraction 0.3
    [ "$(tokens_of lines.train.bin | grep -vc 257)" -eq 7 ]
    [ "$(tokens_of lines.val.bin | paste -sd' ')" = "51 257 54 257 57" ]
    { tokens_of lines.train.bin; tokens_of lines.val.bin; } | grep -v 257 | sort | cmp - <(seq 48 57)
    "$WEIR" train --model model --data out.train.bin --val-data out.val.bin --seq-len 8 --microbatches 2 --steps 1 -q
}

@test "formats: a header of llm.c, or none" {
    tokenize book.txt -o headed.bin
    [ "$(od -An -tu4 -N12 headed.bin | tr -s ' ')" = " 20240520 1 $(encode <book.txt | wc -l)" ]
    tokenize book.txt -o bare.bin --format u16
    cmp bare.bin <(tail -c +1025 headed.bin)
    tokenize book.txt -o wide.bin --format u32
    [ "$(wc -c <wide.bin)" -eq $((2 * $(wc -c <bare.bin))) ]
    losses --data headed.bin >wanted
    losses --data bare.bin --data-format u16 | cmp wanted -
    losses --data wide.bin --data-format u32 | cmp wanted -
}

@test "the result says what was written, --json too" {
    printf 'the' >a.txt
    run "$WEIR" tokenize --tokenizer model a.txt book.txt -o out.bin
    [ "$output" = "out.bin: $(($(encode <book.txt | wc -l) + 3)) tokens of tokenizer model, 2 bytes each, of 2 texts" ]
    run "$WEIR" tokenize --tokenizer model a.txt -o out.bin --json
    [ "$("$JSON_GET" tokenizer vocabulary end files.0.path files.0.tokens <<<"$output")" = \
        "$(printf '"model"\n258\n257\n"out.bin"\n2')" ]
}

# name | arguments | exit status | words of the message
@test "what cannot be written leaves the old file, and says why in one line" {
    tokenize book.txt -o old.bin
    cp old.bin kept
    printf 'one\nnaive caf\351\n' >latin.txt
    printf '{"text": "a"}\n{"text": 7}\n' >odd.jsonl
    printf 'x' >one.txt
    while IFS='|' read -r name arguments code words; do
        # shellcheck disable=SC2086
        run --separate-stderr "$WEIR" tokenize $arguments
        [ "$status" -eq "$code" ] || { echo "$name: $status $stderr"; false; }
        [[ "$stderr" == *"$words"* && "$(wc -l <<<"$stderr")" -eq 1 && -z "$output" ]] || { echo "$name: $stderr"; false; }
        cmp old.bin kept
    done <<'ROWS'
not UTF-8|-t model book.txt latin.txt -o old.bin|1|'latin.txt' line 2 is no UTF-8: byte 0xe9
no text|-t model odd.jsonl -o old.bin|1|'odd.jsonl' line 2 has no string 'text'
no such file|-t model book.txt nowhere.txt -o old.bin|1|'nowhere.txt'
tokens|-t model kept -o old.bin --data-format u16|1|is uint16, not text
no tokenizer|book.txt -o old.bin|2|--tokenizer is missing
no such tokenizer|-t nowhere book.txt -o old.bin|1|no tokenizer 'nowhere'
no output|-t model book.txt|2|--output is missing
no file|-t model -o old.bin|2|no file is given
an output that is read|-t model book.txt -o book.txt|2|'book.txt'
a tokenizer that is replaced|-t model book.txt -o model/vocab.json|2|'model/vocab.json'
a full device|-t model book.txt -o /dev/full --format u16|1|cannot write '/dev/full': No space left on device
no such folder|-t model book.txt -o nowhere/x.bin|1|cannot write 'nowhere/x.bin'
no such format|-t model book.txt -o old.bin --format npy|2|llmc
no such end|-t model book.txt -o old.bin --eod 258|2|--eod '258' is neither none nor an id of the tokenizer, which end at 257
too little to validate on|-t model one.txt -o old.bin --val-fraction 0.1|1|'old.val.bin' would have no tokens
a word of others|-t model --append-eod book.txt -o old.bin|2|unknown option '--append-eod'
ROWS
    [ ! -e old.train.bin ]
}
