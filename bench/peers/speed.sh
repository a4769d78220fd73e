#!/usr/bin/env bash
# Training steps of Weir beside PyTorch (pipelining over gloo, eager, compiled) and llm.c, in turns (bench/peers/speed.py says
# what and how).
#
#     bench/peers/speed.sh [--env DIR] [--build DIR] [--work DIR] [--results FILE] [--model NAME] [--dtype NAME] [--isa avx2]
#                          [--only REGULAR_EXPRESSION] [--turns N] [--seconds S] [--llmc PROGRAM] [--report]
#
# --env: where the Python environment is made, outside of the tree (~/.cache/weir/peers); one that is there, with torch and
# safetensors, is used as it is.  A fresh one takes some 6 GB.  --work: weights and data of the runs (~/.cache/weir/peers-work,
# 1 GB per model).  --results: JSON (peers.json).  Nothing else should run on the machine meanwhile.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/weir
env=$cache/peers
work=$cache/peers-work
build=$root/build/release
results=peers.json
need_gb=8
rest=()

while [ $# -gt 0 ]; do
    case $1 in
    --help | -h | --report) ;;
    --env | --build | --work | --results | --model | --turns | --only | --seconds | --dtype | --isa | --llmc)
        [ $# -gt 1 ] || {
            echo "speed: $1 needs a value" >&2
            exit 2
        }
        ;;
    *)
        echo "speed: '$1' is no option: --help names them" >&2
        exit 2
        ;;
    esac
    case $1 in
    --env) env=$2 ;;
    --build) build=$2 ;;
    --work) work=$2 ;;
    --results) results=$2 ;;
    --report)
        rest+=(--report)
        shift
        continue
        ;;
    --help | -h)
        sed -n '2,11s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) rest+=("$1" "$2") ;;
    esac
    shift 2
done

[ -x "$build/bin/weir" ] || {
    echo "speed: '$build/bin/weir' is missing: build Weir first" >&2
    exit 1
}

# room DIRECTORY GIGABYTES
room() {
    mkdir -p "$1"
    free_gb=$(($(df -Pk "$1" | awk 'NR == 2 {print $4}') / 1048576))
    if [ "$free_gb" -lt "$2" ]; then
        echo "speed: '$1' has $free_gb GB free, $2 are needed: give another place with $3" >&2
        exit 1
    fi
}

env_make() {
    room "$env" "$need_gb" --env
    python3 -m venv "$env"
    pip=("$env/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir)
    "${pip[@]}" --retries 0 --timeout 10 --index-url https://download.pytorch.org/whl/cpu torch 2>/dev/null ||
        "${pip[@]}" torch
    "${pip[@]}" numpy safetensors
}

"$env/bin/python" -c 'import torch, safetensors' 2>/dev/null || env_make
room "$work" 4 --work
exec "$env/bin/python" "$root/bench/peers/speed.py" --weir "$build/bin/weir" --work "$work" --results "$results" "${rest[@]}"
