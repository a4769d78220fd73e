#!/usr/bin/env bash
# Compare Weir with PyTorch and transformers (bench/peers/hf_parity.py says what and how).
#
#     bench/peers/hf_parity.sh [--env DIR] [--build DIR] [--fixtures DIR]
#
# --env: where the Python environment is made, outside of the tree (~/.cache/weir/hf-parity); an environment that is there
# is used as it is.  A fresh one takes some 6 GB, most of it CUDA libraries that the wheel of torch asks for: where
# PyTorch's own index can be reached, its CPU wheel is taken instead.  --build: build directory (build/release).
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
env=${XDG_CACHE_HOME:-$HOME/.cache}/weir/hf-parity
build=$root/build/release
fixtures=()
need_gb=8

while [ $# -gt 0 ]; do
    case $1 in
    --env) env=$2 ;;
    --build) build=$2 ;;
    --fixtures) fixtures=(--fixtures "$2") ;;
    *)
        sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
    esac
    shift 2
done

[ -x "$build/bench/bench_parity" ] || {
    echo "hf_parity: '$build/bench/bench_parity' is missing: build the benches first" >&2
    exit 1
}

env_make() {
    mkdir -p "$env"
    free_gb=$(($(df -Pk "$env" | awk 'NR == 2 {print $4}') / 1048576))
    if [ "$free_gb" -lt "$need_gb" ]; then
        echo "hf_parity: '$env' has $free_gb GB free, $need_gb are needed: give another place with --env" >&2
        exit 1
    fi
    python3 -m venv "$env"
    pip=("$env/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir)
    "${pip[@]}" --retries 0 --timeout 10 --index-url https://download.pytorch.org/whl/cpu torch 2>/dev/null ||
        "${pip[@]}" torch
    "${pip[@]}" numpy transformers
    touch "$env/complete"
}

[ -e "$env/complete" ] || env_make
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 TRANSFORMERS_VERBOSITY=error
nice -n 5 "$env/bin/python" "$root/bench/peers/hf_parity.py" "$build/bench/bench_parity" "$work" "${fixtures[@]}"
