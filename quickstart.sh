#!/bin/bash
# From a fresh Debian 12 machine to a trained model.
#
#   ./quickstart.sh                install what is missing, build, train a small model for about a minute
#   ./quickstart.sh test           install what is missing, build, run all tests
#   ./quickstart.sh deps [NAME..]  only install (and the packages NAME as well)
#
# WEIR_CUDA=ON or OFF in the environment decides about the CUDA build; otherwise it is made where an NVIDIA driver is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

base_packages=(gcc libc6-dev cmake ninja-build pkg-config libjansson-dev libxxhash-dev zlib1g-dev libdnnl-dev
    libhwloc-dev)
test_packages=(libcmocka-dev bats libopenmpi-dev openmpi-bin g++) # g++: CUDA kernels on the processor
cuda_packages=(g++) # nvcc calls it; the CUDA toolkit itself is never installed

out=out/quickstart
logs=$out/logs

die() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}

# step NAME TEXT COMMAND..: run quietly; on failure show the end of what it said
step() {
    local name=$1 text=$2 started=$SECONDS
    shift 2
    mkdir -p "$logs"
    printf '%s ... ' "$text"
    if "$@" >"$logs/$name.log" 2>&1 </dev/null; then
        printf 'done in %d s\n' $((SECONDS - started))
        return 0
    fi
    printf 'failed\n'
    tail -n 30 "$logs/$name.log" >&2
    die "'$*' failed; all of its output is in $logs/$name.log"
}

# ---- packages --------------------------------------------------------------------------------------------------------

has_apt() {
    command -v dpkg-query >/dev/null && command -v apt-get >/dev/null
}

# the packages among the arguments that dpkg does not have
packages_missing() {
    local package
    for package in "$@"; do
        case "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" in
        installed) ;;
        *) printf '%s\n' "$package" ;;
        esac
    done
}

# Without dpkg nothing can be asked by package name: look for the commands and libraries themselves.
tools_missing() {
    local name
    local commands=(cc cmake ninja pkg-config) libraries=(jansson libxxhash zlib)
    if [ "$mode" != train ]; then
        commands+=(bats)
        libraries+=(cmocka)
    fi
    for name in "${commands[@]}"; do
        command -v "$name" >/dev/null || printf '%s\n' "$name"
    done
    command -v pkg-config >/dev/null || return 0
    for name in "${libraries[@]}"; do
        pkg-config --exists "$name" || printf '%s\n' "$name"
    done
}

install_elsewhere() {
    local missing
    missing=$(tools_missing | tr '\n' ' ')
    printf 'not a Debian system: what Weir needs is called there %s\n' "$*"
    [ -z "$missing" ] || die "missing here: ${missing% }; install them and run this again"
}

install_packages() {
    local missing=() as_root=()
    has_apt || {
        install_elsewhere "$@"
        return 0
    }
    mapfile -t missing < <(packages_missing "$@" | awk '!seen[$0]++')
    if [ "${#missing[@]}" -eq 0 ]; then
        printf 'packages: nothing is missing\n'
        return 0
    fi
    if [ "$(id -u)" -ne 0 ]; then
        local line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
        command -v sudo >/dev/null || die "packages are missing; as root, run: $line"
        sudo -v || die "packages are missing and sudo did not let us in; as root, run: $line"
        as_root=(sudo)
    fi
    printf 'packages missing: %s\n' "${missing[*]}"
    step update "apt-get update" "${as_root[@]}" apt-get update
    step install "apt-get install" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}"
}

# ---- build -----------------------------------------------------------------------------------------------------------

cuda_wanted() {
    case "${WEIR_CUDA:-}" in
    ON | OFF) printf '%s' "$WEIR_CUDA" ;;
    *) if [ -e /dev/nvidiactl ]; then printf ON; else printf OFF; fi ;;
    esac
}

build() {
    local testing=$1 flags=()
    if [ "$cuda" = ON ] && ! command -v nvcc >/dev/null && [ -x /usr/local/cuda/bin/nvcc ]; then
        PATH=$PATH:/usr/local/cuda/bin
    fi
    if [ "$cuda" = ON ] && ! command -v nvcc >/dev/null; then
        die "a CUDA build is wanted and nvcc is not in PATH: install a CUDA toolkit, or run WEIR_CUDA=OFF $0"
    fi
    has_apt || flags+=(-DWEIR_WERROR=OFF) # a compiler that we have not tried may warn about more
    step configure "configure (CUDA $cuda)" cmake --preset release -DWEIR_CUDA="$cuda" -DBUILD_TESTING="$testing" \
        "${flags[@]}"
    step build "build" cmake --build --preset release
}

# ---- train -----------------------------------------------------------------------------------------------------------

# Text that every machine with this repository has: its documentation and sources, and the licences Debian brings.
make_text() {
    local licences=/usr/share/common-licenses
    {
        find . -path ./build -prune -o -path ./out -prune -o -path './.git' -prune -o -type f \
            \( -name '*.md' -o -name '*.c' -o -name '*.h' -o -name '*.cu' -o -name '*.sh' -o -name LICENSE \) -print0
        if [ -d "$licences" ]; then
            find "$licences" -type f -print0
        fi
    } | LC_ALL=C sort -z | xargs -0 cat >"$out/text.txt"
}

# field LINE-ADDRESS NAME FILE: a number of metrics.jsonl
field() {
    sed -n "$1s/.*\"$2\": *\([^,}]*\).*/\1/p" "$3"
}

train() {
    build/release/bin/weir train --model gpt2-tiny --data "$out/text.txt" --stages 2 --microbatches 8 \
        --microbatch-size 4 "$@"
}

# How many steps fill a minute here: a few steps tell (the first one warms up).
steps_per_minute() {
    step measure "measure this machine" train --steps 12 --metrics "$out/measure.jsonl" --force
    field '3,$' step_ms "$out/measure.jsonl" |
        awk '{ ms += $1 } END { n = ms > 0 ? int(60000 * NR / ms) : 0; print (n < 40 ? 40 : n > 3000 ? 3000 : n) }' \
            >"$out/steps.txt"
}

train_a_minute() {
    mkdir -p "$out"
    make_text
    printf 'text: %s, %d bytes\n' "$out/text.txt" "$(wc -c <"$out/text.txt")"
    steps_per_minute
    printf 'train: gpt2-tiny on 2 pipeline stages, %s steps\n' "$(<"$out/steps.txt")"
    train --steps "$(<"$out/steps.txt")" --metrics "$out/metrics.jsonl" --force --trace "$out/trace.json" --export "$out/model" ||
        die "training failed with status $?"
    LC_ALL=C printf '\nloss at start %.4f, at the end %.4f\n' "$(field 2 loss "$out/metrics.jsonl")" \
        "$(field '$' loss "$out/metrics.jsonl")"
    printf 'metrics: %s\ntrace:   %s (open it in ui.perfetto.dev)\n' "$out/metrics.jsonl" "$out/trace.json"
    text_written
}

# What the model makes of three openings: it has seen little and spells rather than says.
text_written() {
    local prompt
    printf '\ntext from the model in %s, on 2 pipeline stages:\n' "$out/model"
    for prompt in 'The ' 'static ' 'License'; do
        build/release/bin/weir generate --init-from "$out/model" --prompt "$prompt" --stages 2 --temperature 0.8 --seed 1 -q ||
            die "generating text failed with status $?"
    done
}

# ---- what was asked for ----------------------------------------------------------------------------------------------

mode=${1:-train}
cuda=$(cuda_wanted)
packages=("${base_packages[@]}")
[ "$cuda" = OFF ] || packages+=("${cuda_packages[@]}")

case "$mode" in
train)
    install_packages "${packages[@]}"
    build OFF
    train_a_minute
    ;;
test)
    install_packages "${packages[@]}" "${test_packages[@]}"
    build ON
    ctest --test-dir build/release --output-on-failure -j $((2 * $(nproc))) # many wait for processes that are to be found dead
    ;;
deps)
    install_packages "${packages[@]}" "${test_packages[@]}" "${@:2}"
    ;;
*)
    die "'$mode' is not known; say nothing, 'test' or 'deps'"
    ;;
esac
