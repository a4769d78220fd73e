#!/usr/bin/env bats
# weir train --data: files of text and of tokens.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 40); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
    n=$(wc -c <text)
    commas=$(sed 's/\(.*[0-9]\)\([0-9]\{3\}\)$/\1,\2/' <<<"$n")
    tokens 2 <text >bare.bin
    { words 20240520 1 "$n"; head -c 1012 /dev/zero; tokens 2 <text; } >short.bin
    { words 20240801 7 "$n"; head -c 1012 /dev/zero; tokens 4 <text; } >wide.bin
}

# Each byte of the input as a token of $1 bytes.
tokens() {
    # shellcheck disable=SC2059
    printf "$(od -An -v -tx1 -w1 | awk -v n="$1" '{ printf "\\x%s", $1; for (i = 1; i < n; i++) printf "\\x00" }')"
}

# Numbers as little-endian 32-bit words.
words() {
    for word; do
        # shellcheck disable=SC2059
        printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((word & 255)) $((word >> 8 & 255)) $((word >> 16 & 255)) $((word >> 24 & 255)))"
    done
}

train() {
    "$WEIR" train --model gpt2-tiny --microbatches 2 --microbatch-size 2 --seq-len 8 -q "$@"
}

@test "the same tokens as text, with and without a header, and four bytes wide, train to the same losses" {
    for file in text bare.bin short.bin wide.bin; do
        train --data "$file" --steps 2 --metrics m --force >/dev/null
        grep -o '"loss": [^,]*' m >"$file.losses"
    done
    [ "$(wc -l <text.losses)" -eq 2 ]
    cmp text.losses bare.bin.losses
    cmp text.losses short.bin.losses
    cmp text.losses wide.bin.losses
}

@test "a list and a pattern that name the same files train to the same losses" {
    mkdir parts
    for part in 1 2 3; do cp short.bin "parts/p$part.bin"; done
    train --data 'parts/p*.bin' --steps 2 --json | "$JSON_GET" loss_first loss_last data.tokens >pattern
    train --data parts/p1.bin,parts/p2.bin,parts/p3.bin --steps 2 --json | "$JSON_GET" loss_first loss_last data.tokens >list
    train --data parts/p3.bin,parts/p2.bin,parts/p1.bin --steps 2 --json >other
    cmp pattern list
    train --data short.bin --steps 2 --json | "$JSON_GET" loss_first loss_last data.tokens >one
    ! cmp -s pattern one
}

@test "two replicas of two micro-batches and one of four see the same samples, across epochs" {
    head -c 200 text >little
    train --data little --val-data text --val-batches 1 --val-every 8 --steps 8 --microbatches 4 --metrics one >/dev/null
    train --data little --val-data text --val-batches 1 --val-every 8 --steps 8 --replicas 2 --metrics two >/dev/null
    for file in one two; do grep -o '"\(val_\)\?loss": [^,]*' "$file" | cut -d' ' -f2 >"$file.losses"; done
    [ "$(wc -l <one.losses)" -eq 9 ]
    paste one.losses two.losses | awk '{ bad += ($1 - $2) ^ 2 > 1e-8 } END { exit bad }'
}

@test "an output never overwrites one of several data files" {
    cp short.bin a.bin; cp short.bin b.bin
    run train --data 'a.bin,b.bin' --steps 1 --metrics ./b.bin
    [[ "$status" -eq 2 && "$output" == *"--data and --metrics are the same file './b.bin'"* ]]
    cmp b.bin short.bin
}

@test "validation is on the lines of its steps, in the progress and in the result" {
    run --separate-stderr "$WEIR" train --model gpt2-tiny --microbatches 2 --microbatch-size 2 --seq-len 8 --data bare.bin --val-data short.bin --steps 7 --val-every 3 --val-batches 2 --metrics m
    [ "$status" -eq 0 ]
    [[ "$output" == *" at the end, "*" in validation" ]]
    [ "$(grep '"val_loss": [0-9]' m | grep -o '^{"step": [0-9]*' | tr -dc '0-9\n' | tr '\n' ' ')" = "3 6 7 " ]
    [[ "$stderr" == *"step 3/7 loss "*" val "* && "$stderr" == *"step 7/7 loss "*" val "* && "$stderr" != *"step 1/7 loss 5."*" val "*"step 3/7"* ]]
    run train --data bare.bin --val-data short.bin --steps 12 --val-batches 1 --metrics m --force --json
    [[ "$output" == *', "val_loss_last": '*'}' ]]
    [ "$(grep -c val_loss m)" -eq 12 ]
    last=$(grep -o '"val_loss": [^,]*' m | tail -n 1 | cut -d' ' -f2)
    [[ "$output" == *"\"val_loss_last\": ${last:0:12}"* ]]
    run train --data bare.bin --steps 2 --json
    [[ "$output" != *val_loss* ]]
}

@test "validation changes no step, and sees the same samples every time" {
    tac text >more
    train --data text --steps 5 --metrics without --dropout 0.1 >/dev/null
    train --data text --steps 5 --metrics with --dropout 0.1 --val-data more --val-every 2 --val-batches 2 >/dev/null
    for file in without with; do grep -o '"loss": [^,]*, "grad_norm": [^,]*' "$file" >"$file.losses"; done
    cmp without.losses with.losses
    train --data text --steps 5 --metrics still --lr 0 --val-data more --val-every 2 --val-batches 2 --seed 3 >/dev/null
    [ "$(grep -o '"val_loss": [^,]*' still | sort -u | wc -l)" -eq 1 ]
    [ "$(grep -c val_loss still)" -eq 3 ]
    train --data text --steps 5 --metrics split --lr 0 --val-data more --val-every 2 --val-batches 2 --seed 3 --stages 4 --schedule zbv >/dev/null
    [ "$(grep -o '"val_loss": [^,]*' split | sort -u)" = "$(grep -o '"val_loss": [^,]*' still | sort -u)" ]
}

# what is on the lines before the first step, and in the result
taken() {
    "$WEIR" train --model gpt2-tiny --microbatches 2 --microbatch-size 2 --seq-len 8 --steps 1 --json "$@" 2>said >result
    grep -o '"loss_first": [^,]*' result
}

@test "what was taken for what is said before the first step and in the result" {
    gzip -k text bare.bin
    cp bare.bin SHOUT.BIN
    sed 's/.*/{"url": "x", "text": "&"}/' text >lines.jsonl
    tokens 4 <text >four.bin
    tokens 8 <text >eight.bin
    wanted=$(taken --data text)
    [ "$(sed -n 2p said)" = "data: text as text, $commas tokens as bytes" ]
    [ "$("$JSON_GET" data.path data.kind data.tokens <result)" = "$(printf '"text"\n"text"\n%d' "$n")" ]
    while IFS='|' read -r arguments said; do
        # shellcheck disable=SC2086
        [ "$(taken $arguments)" = "$wanted" ]
        [ "$(sed -n 2p said)" = "data: $said" ] || { cat said; false; }
    done <<ROWS
--data text.gz|text.gz as text from gzip, $commas tokens as bytes
--data bare.bin.gz|bare.bin.gz as uint16 from gzip, $commas tokens
--data SHOUT.BIN|SHOUT.BIN as uint16, $commas tokens
--data lines.jsonl|lines.jsonl as JSON Lines, $commas tokens as bytes of 40 documents
--data four.bin --data-format u32|four.bin as uint32, $commas tokens
--data eight.bin --data-format i64|eight.bin as int64, $commas tokens
ROWS
    taken --data text --val-data text.gz
    [ "$(sed -n 3p said)" = "val-data: text.gz as text from gzip, $commas tokens as bytes" ]
    [ "$("$JSON_GET" val_data.tokens <result)" -eq "$n" ]
}

# name | arguments | exit status | words of the message
@test "data that cannot be used: one clear line and the right exit status" {
    head -c 1025 short.bin >cut.bin
    head -c 101 bare.bin >odd.bin
    : >empty.bin
    head -c 20 text >little
    head -c 5 text >tiny
    { head -c 300 bare.bin; printf '\x00\x02'; head -c 1500 bare.bin; } >large.bin
    { printf '\x00\x02'; head -c 3000 bare.bin; } >first.bin
    cp bare.bin tokens
    tokens 4 <text >four.bin
    tokens 8 <text >eight.bin
    cp text book.bin
    { printf PAR1; cat text; printf PAR1; } >t.parquet
    { printf '\xff\xfe'; tokens 2 <text; } >wide.txt
    { words 20240326 3; head -c 3000 bare.bin; } >model.bin
    while IFS='|' read -r name arguments code words; do
        # shellcheck disable=SC2086
        run train --steps 200 $arguments
        [ "$status" -eq "$code" ] || { echo "$name: exit $status, output $output"; false; }
        [[ "$output" == *"$words"* ]] || { echo "$name: $output"; false; }
        [ "$(echo "$output" | wc -l)" -eq 1 ] || { echo "$name: $output"; false; }
    done <<'ROWS'
nothing matches|--data none_*.bin|1|no file matches 'none_*.bin'
an empty name|--data text,|2|'text,' has an empty name
one of two is missing|--data text,none|1|cannot open 'none'
two kinds|--data bare.bin,short.bin|1|'bare.bin' is uint16 and 'short.bin' is llm.c uint16
text among tokens|--data bare.bin,text|1|'text' is text
named twice|--data bare.bin,./bare.bin|1|are the same file
cut short|--data cut.bin|1|'cut.bin' starts with the magic 20240520
half a token|--data odd.bin|1|'odd.bin' has no header and ends at byte 101
empty|--data empty.bin|1|'empty.bin' is empty
no tokens but a model|--data model.bin|1|files of a GPT-2 model do
an id too large at the start|--data first.bin|1|'first.bin': token 0 at byte 0 is 512, the model's ids end at 255
an id too large further on|--data large.bin|1|'large.bin': token 150 at byte 300 is 512
an id too large in validation|--data bare.bin --val-data large.bin --val-every 1 --val-batches 28|1|validation: '
when, but not what to validate|--data text --val-every 3|2|--val-every says how to validate, --val-data is missing
how much, but not what|--data text --val-batches 3|2|--val-batches says how
no steps between validations|--data text --val-data text --val-every 0|2|--val-every takes a whole number from 1
more than there is|--data text --val-data text --val-batches 100000|2|--val-batches 100000 of 4 samples are more than the
no sample for a step|--data text --val-data little|2|'little' has 2 samples, a validation needs the 4 of a step
too little for a sample|--data text --val-data tiny|1|'tiny' has 5 bytes
metrics over the validation data|--data short.bin --val-data bare.bin --metrics bare.bin|2|--val-data and --metrics are the same file
tokens to train on, text to validate on|--data bare.bin --val-data text|1|'text' is text and 'bare.bin' is uint16
text to train on, tokens to validate on|--data text --val-data bare.bin|1|'bare.bin' is uint16 and 'text' is text
tokens under another name to validate on|--data text --val-data tokens|1|'tokens' has byte 0x00 at 1, which no text has
a format that is none|--data text --data-format u17|2|unknown data format 'u17': did you mean 'u16'?
int32 tokens without a word|--data four.bin|1|'four.bin' may hold tokens of 2, 4 or 8 bytes
int64 tokens without a word|--data eight.bin|1|(--data-format u16, u32 or i64)
text called .bin|--data book.bin|1|'book.bin' is called .bin and holds text
Parquet|--data t.parquet|1|'t.parquet' is a Parquet file: write its text to JSON Lines
text in UTF-16|--data wide.txt|1|'wide.txt' is text in UTF-16: convert it with 'iconv -f UTF-16 -t UTF-8'
no such validation data|--data text --val-data none|1|cannot open 'none'
ROWS
}
