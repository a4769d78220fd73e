#!/usr/bin/env bash
# Make the pictures of the pages: docs/pictures.sh [the command, default build/release/bin/weir]
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
weir="$(realpath "${1:-$root/build/release/bin/weir}")"
out="$root/docs/pictures"
source "$root/tests/support/browser.bash"
browser_find
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

"$weir" schedule draw 1f1b zbv -p 4 -m 6 --per-rank --width 900 -o "$out/1f1b-zbv.svg"

"$weir" schedule draw 1f1b zb-h1 -p 4 -m 5 --comm 0.2 -o page.html
BROWSER_SIZE=900,470 browser_picture page.html "$out/page.png"

cat "$root"/docs/*.md >text
"$weir" train --model gpt2-tiny --data text --stages 2 --schedule zb-h1 --microbatches 6 --steps 20 -q --trace t.json
"$weir" schedule draw t.json --predict --width 900 -o "$out/predicted-measured.svg"
