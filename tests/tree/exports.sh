#!/bin/bash
# libweir.so exports what the public headers declare, each name with its contract, and nothing else.
#
#     exports.sh libweir.so libweir.a HEADER...
#
# A header says what is exported by "#pragma GCC visibility push(default)".  A contract is a comment above the declaration, or
# above the block of declarations without an empty line in which it stands, or one on its line.
set -euo pipefail
shared=$1 archive=$2
shift 2

# "name file line contract" for every function and object that the headers export
declared() {
    awk '
    function say(name) { print name, FILENAME, FNR, (told || /\/\*/) ? "yes" : "no" }
    FNR == 1 { exported = told = inside = body = names = 0 }
    /^#pragma GCC visibility push\(default\)/ { exported = 1 }
    /^#pragma GCC visibility pop/ { exported = 0 }
    inside { if (/\*\//) { inside = 0; told = 1 } next }
    /^[ \t]*\/\*/ { if (/\*\//) told = 1; else inside = 1; next }
    /^[ \t]*$/ { told = 0; next }
    /^static inline/ { body = 1 }
    body { if (/^}/) body = 0; next }
    /^(#|typedef|enum( [a-z0-9_]+)? [{]|struct [a-z_]+ [{]|extern "C"|[ \t}{])/ && !names { next }
    exported && (names || /^extern /) {
        text = $0
        sub(/\/\*.*/, "", text)
        gsub(/(struct|enum) [a-z0-9_]+/, "", text)
        while (match(text, /weir_[a-z0-9_]+/)) {
            say(substr(text, RSTART, RLENGTH))
            text = substr(text, RSTART + RLENGTH)
        }
        names = text !~ /;/
        inside = /\/\*/ && !/\*\//
        next
    }
    exported && match($0, /weir_[a-z0-9_]+\(/) { say(substr($0, RSTART, RLENGTH - 1)) }
    ' "$@" | LC_ALL=C sort
}

# Inline functions, which only C and C++ can use: those around a function named .._sized aside, each is a symbol too.  The library knows
# no type of MPI: that of mpi.h stands around weir_engine_config_communicator.
inlines() {
    sed -n 's/^static inline [^(]*[ *]\(weir_[a-z0-9_]*\)(.*/\1/p' "$@" | grep -vx weir_mpi_communicator_give | LC_ALL=C sort
}

defined() { awk 'NF == 3 && $2 != "A" { sub(/@.*/, "", $3); print $3 }' | LC_ALL=C sort -u; }

all=$(declared "$@")
functions=$(cut -d ' ' -f 1 <<<"$all")
alone=$(LC_ALL=C comm -23 <(inlines "$@") <(sed -n 's/_sized$//p' <<<"$functions" | LC_ALL=C sort))
in_headers=$(printf '%s\n' "$functions" "$alone" | LC_ALL=C sort)
in_library=$(nm -D --defined-only "$shared" | defined)
status=0
[ "$(wc -l <<<"$alone")" -gt 5 ] || { echo "hardly an inline function was found"; exit 1; }

fail_if() { # <what is wrong> <names>
    [ -n "$2" ] || return 0
    printf '%s:\n%s\n' "$1" "$2"
    status=1
}

[ "$(wc -l <<<"$in_library")" -gt 50 ] || { echo "'$shared' exports too little: is it the library?"; exit 1; }
fail_if "declared twice" "$(uniq -d <<<"$in_headers")"
fail_if "exported, and in no public header" "$(LC_ALL=C comm -13 <(echo "$in_headers") <(echo "$in_library"))"
fail_if "in a public header, and not exported" "$(LC_ALL=C comm -23 <(echo "$in_headers") <(echo "$in_library"))"
fail_if "exported data, of which a program has a copy with the size of its day" \
    "$(nm -D --defined-only "$shared" | awk '$2 ~ /[BDRVu]/ { print $3 }')"
fail_if "without a contract" "$(awk '$4 == "no" { print $2 ":" $3 ": " $1 }' <<<"$all")"
# clang makes what picks a function's version for the processor global ("add.resolver"); no name in C has a dot
fail_if "global in '$archive', and another program may have it" \
    "$(nm -g --defined-only "$archive" 2>/dev/null | defined | grep -v '^weir_' | grep -v '\.resolver$' || true)"
readelf -d "$shared" | grep -q 'SONAME.*\[libweir\.so\.[0-9]*\]' || fail_if "no SONAME" "$shared"
exit $status
