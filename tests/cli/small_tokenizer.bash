# A small tokenizer in files, and what it makes of a text.
# shellcheck shell=bash

# A tokenizer of the 256 bytes, one merge, t h, and an end.
tokenizer_write() {
    awk 'BEGIN { printf "{"; for (b = 0; b < 256; b++) {
            self = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174
            printf "%s\"\\u%04x\": %d", b ? ", " : "", self ? b : 256 + n++, b } }' >"$1/vocab.json"
    printf ', "th": 256, "<|endoftext|>": 257}' >>"$1/vocab.json"
    printf '#version: 0.2\nt h\n' >"$1/merges.txt"
}

# The same as a tokenizer.json alone.
tokenizer_json_write() {
    tokenizer_write "$1"
    printf '{"added_tokens": [{"id": 257, "content": "<|endoftext|>", "special": true, "normalized": false}], "normalizer": null,
             "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}, "decoder": {"type": "ByteLevel"},
             "model": {"type": "BPE", "vocab": %s, "merges": ["t h"]}}' "$(cat "$1/vocab.json")" >"$1/tokenizer.json"
    rm "$1/vocab.json" "$1/merges.txt"
}

# Its ids of the input, one per line.
encode() {
    od -An -v -tu1 -w1 | awk '{ id = $1 + 0 } held && id == 104 { print 256; held = 0; next } held { print 116; held = 0 }
                              id == 116 { held = 1; next } { print id } END { if (held) print 116 }'
}

# Numbers, one per line, as little-endian words of 2 bytes.
words2() {
    # shellcheck disable=SC2059
    printf "$(awk '{ printf "\\x%02x\\x%02x", $1 % 256, $1 / 256 }')"
}
