#!/usr/bin/env bash
# Step programs and memory tables as text.
#
#   programs.sh print WEIR DIR            write those of 43 configurations with the command WEIR, one file each, into DIR
#   programs.sh compare COMMIT COMMIT     build both commits in temporary worktrees, print with both, show what differs
#   programs.sh golden WEIR NAME          one of the small configurations whose text stands beside this script, without what
#                                         depends on the matrix library and the instruction set: scratch rows and totals
#   programs.sh goldens                   the names of these
#
# Exit status 1: something differs.
set -efuo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# NAME|OPTIONS; an mlp reads the images that data_make writes
configurations() {
    cat <<'END'
gpt2-one|--model gpt2-tiny --stages 1
gpt2-two|--model gpt2-tiny --stages 2
gpt2-three-odd|--model gpt2-tiny --stages 3 --microbatches 5
gpt2-eight|--model gpt2-tiny --stages 8 --microbatches 16
gpt2-two-full|--model gpt2-tiny --stages 2 --recompute full
gpt2-four-some|--model gpt2-tiny --stages 4 --microbatches 8 --recompute h.*.mlp,head
gpt2-gpipe|--model gpt2-tiny --stages 4 --schedule gpipe --microbatches 8
gpt2-gpipe-full|--model gpt2-tiny --stages 5 --schedule gpipe --microbatches 3 --recompute full
gpt2-zb-h1|--model gpt2-tiny --stages 4 --schedule zb-h1 --microbatches 8
gpt2-zb-h1-full|--model gpt2-tiny --stages 3 --schedule zb-h1 --microbatches 6 --recompute full
gpt2-zbv|--model gpt2-tiny --stages 8 --schedule zbv --microbatches 8
gpt2-zbv-full|--model gpt2-tiny --stages 4 --schedule zbv --recompute full
gpt2-v-half|--model gpt2-tiny --stages 6 --schedule v-half --microbatches 9
gpt2-interleaved|--model gpt2-tiny --stages 8 --schedule interleaved --chunks 2 --microbatches 8
gpt2-interleaved-four|--model gpt2-tiny --stages 8 --schedule interleaved --chunks 4 --microbatches 4
gpt2-bfs|--model gpt2-tiny --stages 8 --schedule bfs --chunks 2 --microbatches 8
gpt2-bfs-one-rank|--model gpt2-tiny --stages 4 --schedule bfs --chunks 4 --microbatches 4
gpt2-replicas|--model gpt2-tiny --stages 2 --replicas 2
gpt2-replicas-alone|--model gpt2-tiny --stages 1 --replicas 3
gpt2-replicas-buckets|--model gpt2-tiny --stages 2 --replicas 3 --bucket-bytes 16K
gpt2-replicas-zbv|--model gpt2-tiny --stages 4 --schedule zbv --replicas 2 --bucket-bytes 64K
gpt2-zero|--model gpt2-tiny --stages 2 --replicas 2 --zero 1
gpt2-zero-alone|--model gpt2-tiny --stages 1 --replicas 2 --zero 1
gpt2-zero-gpipe|--model gpt2-tiny --stages 4 --schedule gpipe --replicas 3 --zero 1 --microbatches 6
gpt2-zero-zb-h1|--model gpt2-tiny --stages 4 --schedule zb-h1 --replicas 2 --zero 1 --bucket-bytes 16K --recompute full
gpt2-zero-bfs|--model gpt2-tiny --stages 8 --schedule bfs --chunks 2 --replicas 2 --zero 1 --microbatches 8
gpt2-sgd|--model gpt2-tiny --stages 2 --optimizer sgd
gpt2-dropout|--model gpt2-tiny --stages 7 --dropout 0.1 --microbatches 7
llama-one|--model llama-tiny --stages 1 --microbatches 1
llama-two|--model llama-tiny --stages 2
llama-five|--model llama-tiny --stages 5 --microbatches 10
llama-zbv|--model llama-tiny --stages 8 --schedule zbv --microbatches 8
llama-v-half-full|--model llama-tiny --stages 4 --schedule v-half --recompute full
llama-interleaved|--model llama-tiny --stages 6 --schedule interleaved --chunks 2 --microbatches 6
llama-replicas|--model llama-tiny --stages 3 --replicas 3 --schedule zb-h1
llama-zero|--model llama-tiny --stages 4 --replicas 2 --zero 1 --schedule zbv --recompute full
mlp-one|--model mlp --stages 1 --data images
mlp-two|--model mlp --stages 2 --data images
mlp-eight|--model mlp --stages 8 --data images --microbatches 8
mlp-zbv|--model mlp --stages 4 --schedule zbv --data images
mlp-bfs|--model mlp --stages 6 --schedule bfs --chunks 3 --data images --recompute full
mlp-zero|--model mlp --stages 4 --replicas 3 --zero 1 --data images --schedule gpipe
mlp-replicas|--model mlp --stages 2 --replicas 2 --bucket-bytes 1K --data images --schedule zb-h1
END
}

# the small ones
goldens() {
    cat <<'END'
gpt2-1f1b|--model gpt2-tiny --stages 2
gpt2-one-stage|--model gpt2-tiny --stages 1 --microbatches 2
gpt2-zb-h1-full|--model gpt2-tiny --stages 3 --schedule zb-h1 --microbatches 3 --recompute full
gpt2-zbv-replicas|--model gpt2-tiny --stages 4 --schedule zbv --microbatches 2 --replicas 2
llama-interleaved|--model llama-tiny --stages 4 --schedule interleaved --chunks 2 --microbatches 2
llama-gpipe-zero|--model llama-tiny --stages 2 --schedule gpipe --microbatches 3 --replicas 2 --zero 1
mlp-1f1b|--model mlp --stages 3 --microbatches 4 --data images
mlp-bfs-zero|--model mlp --stages 4 --schedule bfs --chunks 2 --microbatches 2 --replicas 3 --zero 1 --data images
END
}

# Two images of 1 x 2 pixels, in the form of MNIST.
data_make() {
    mkdir -p images
    printf '\0\0\10\3\0\0\0\2\0\0\0\1\0\0\0\2\1\2\3\4' >images/train-images-idx3-ubyte
    printf '\0\0\10\1\0\0\0\2\0\1' >images/train-labels-idx1-ubyte
}

# text WEIR OPTIONS..: the program and the table, of one thread per rank.
text() {
    "$1" train --threads-per-rank 1 --print-program --print-memory full "${@:2}" | sed '/^# .* parameters: /d'
}

print() {
    local weir out name options
    weir=$(realpath "$1")
    mkdir -p "$2"
    out=$(realpath "$2")
    work=$(mktemp -d)
    trap 'rm -r "$work"' EXIT
    cd "$work"
    data_make
    while IFS='|' read -r name options; do
        # shellcheck disable=SC2086 # words
        text "$weir" $options >"$out/$name.txt"
    done < <(configurations)
}

golden() {
    local weir options
    weir=$(realpath "$1")
    options=$(goldens | sed -n "s/^$2|//p")
    work=$(mktemp -d)
    trap 'rm -r "$work"' EXIT
    cd "$work"
    data_make
    # shellcheck disable=SC2086 # words
    text "$weir" $options | sed -e '/^[0-9]* scratch /d' -e '/^# totals/,/^# rank 0: /{/^# rank 0: /!d;}'
}

# build COMMIT NAME: $work/NAME.weir
build() {
    git -C "$here" worktree add --quiet --detach "$work/$2" "$1"
    export CCACHE_BASEDIR=$work/$2 # the same paths in both, as far as a compiler cache sees
    if ! { cmake -S "$work/$2" -B "$work/$2/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DWEIR_CUDA=OFF &&
        cmake --build "$work/$2/build" --target weir; } >"$work/log" 2>&1; then
        tail -30 "$work/log" >&2
        exit 2
    fi
    cp "$(find "$work/$2/build" -name weir -type f -perm -u+x)" "$work/$2.weir"
}

compare() {
    trees=$(mktemp -d)
    trap 'git -C "$here" worktree remove --force "$trees/a"; git -C "$here" worktree remove --force "$trees/b"; rm -r "$trees"' EXIT
    for side in a b; do
        commit=$([ $side = a ] && echo "$1" || echo "$2")
        work=$trees build "$commit" $side
        (print "$trees/$side.weir" "$trees/$side.out")
    done
    diff -r -u "$trees/a.out" "$trees/b.out" && echo "$(configurations | wc -l) configurations, no difference"
}

case "${1:-}" in
print) print "$2" "$3" ;;
compare) compare "$2" "$3" ;;
golden) golden "$2" "$3" ;;
goldens) goldens | cut -d'|' -f1 ;;
*) sed -n '2,/^set/{/^set/!p;}' "$0" && exit 2 ;;
esac
