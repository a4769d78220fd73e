# What check.sh tells: runs parts, keeps their logs, writes the report.  Sourced.
# shellcheck shell=bash disable=SC2154 # variables are check.sh's
#
#   report.md     how each part went, figures, the worst error of each operation, a table for docs/gpu-results.md
#   logs.txt      the end of every part's log
#   running.txt   the log of the part that runs now
#   speed.txt, profile.txt, products.txt, ncu.txt, nccl.txt    what parts write themselves

log_bytes=600000 # of one part: 25 of them stay below 16 MiB
file_bytes=16000000

failed=0
declare -A verdicts=()
table=()
running=

is_wanted() {
    [[ " ${WEIR_GPU_PARTS:-$1} " == *" $1 "* ]]
}

# part NAME SECONDS [extra]: run part_NAME in its own process, remember how it went, write everything that is known.  Extra: no
# failure where no time is left for it.
part() {
    local name=$1 limit=$(($2 * slow)) started=$SECONDS verdict=ok code=0 left=$((seconds - SECONDS))
    verdicts[$name]="not run"
    is_wanted "$name" || return 0
    [ "$limit" -le "$left" ] || limit=$left
    if [ "$left" -le 0 ]; then
        verdict="not run: no time was left (WEIR_GPU_PARTS=$name runs it alone)"
        [ $# -gt 2 ] || failed=1
    else
        running=$name
        report_write
        timeout --kill-after=5 "$limit" bash -c "part_$name" >"$out/running.txt" 2>&1 || code=$?
        running=
        verdict=$(verdict_of "$name" "$code" "$limit")
        [[ $verdict != FAILED* ]] || {
            failed=1
            tail -n 20 "$out/running.txt"
        }
    fi
    verdicts[$name]=$verdict
    table+=("| $name | $verdict | $((SECONDS - started)) s |")
    printf '%s\n' "${table[-1]}"
    log_keep "$name" "$verdict"
    report_write
}

# verdict_of NAME STATUS LIMIT
verdict_of() {
    case $2 in
    0) echo ok ;;
    77) echo "skipped: $(tail -n 1 "$out/running.txt")" ;;
    124 | 137) echo "FAILED (not finished after $3 s)" ;;
    *) echo "FAILED ($2)" ;;
    esac
}

log_keep() {
    {
        printf '\n==== %s: %s\n' "$1" "$2"
        [ ! -e "$out/running.txt" ] || tail -c "$log_bytes" "$out/running.txt"
    } >>"$out/logs.txt"
    [ ! -e "$out/running.txt" ] || grep -hE '^(worst|FAILED) ' "$out/running.txt" >>"$work/findings.txt"
    rm -f "$out/running.txt"
    local file
    for file in "$out"/*.txt; do
        [ "$(stat -c %s "$file")" -le "$file_bytes" ] || truncate -s "$file_bytes" "$file"
    done
}

# figure WORDS..: a line of the report's figures, from within a part
figure() {
    printf '%s\n' "$*" | tee -a "$out/speed.txt"
}

report_begin() {
    rm -f "$out"/{report.md,logs,running,speed,profile,products,ncu,nccl}* "$work/findings.txt"
    {
        [ "$rehearse" -eq 1 ] && printf '# Rehearsal of the checks: stand-in, no GPU\n\nNothing of this was run on a GPU.\n\n' ||
            printf '# Checks on a GPU\n\n'
        printf '%s, commit %s\n\n' "$(date -u +%F)" "$(commit_of)"
        nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo "no CUDA device"
        printf 'NCCL: %s\n\n' "$nccl_where"
    } >"$work/head.md"
    report_write
}

commit_of() {
    cat "${built_bin:-none}/commit" 2>/dev/null || git rev-parse --short HEAD 2>/dev/null || echo unknown
}

# All of it anew, in place of the old one at once.
report_write() {
    {
        cat "$work/head.md"
        printf '| part | how it went | time |\n| --- | --- | --- |\n'
        [ "${#table[@]}" -eq 0 ] || printf '%s\n' "${table[@]}"
        [ -z "$running" ] || printf '| %s | running since second %d: when this is the last word, the run was cut | |\n' "$running" "$SECONDS"
        [ ! -s "$out/speed.txt" ] || printf '\n## Figures\n\n```\n%s\n```\n' "$(cat "$out/speed.txt")"
        [ ! -s "$work/findings.txt" ] || printf '\n## Rows that failed, and the worst error of each operation\n\n```\n%s\n```\n' \
            "$(sort -u "$work/findings.txt" | head -n 400)"
        results_table
    } >"$out/report.md.new"
    mv "$out/report.md.new" "$out/report.md"
}

# results_row WHAT PART..: a row of the table in docs/gpu-results.md, "yes" when all these parts were well
results_row() {
    local what=$1 said=yes name
    [ "$rehearse" -eq 0 ] || said="no: rehearsed"
    shift
    for name in "$@"; do
        [ "${verdicts[$name]-not run}" = ok ] || said="no: $name ${verdicts[$name]-not run}"
    done
    printf '| %s | %s |\n' "$what" "$said"
}

# shellcheck disable=SC2016 # no command, but code in Markdown
results_table() {
    printf '\n| part | run on a GPU |\n| --- | --- |\n'
    results_row 'kernels of all rows of `weir_ops`, f32 and bf16 (`kernels/cuda/*.cu`)' rows rows_memcheck rows_racecheck
    results_row 'rows of generation: attention over a cache, last row, rows within a sequence (`attention_cached.cu`, `last_row.cu`)' \
        rows rows_memcheck rows_racecheck
    results_row 'vector kernels: add, reduce, square sums, gate, AdamW, SGD, rounding to bf16 (`vector.cu`)' rows rows_memcheck \
        rows_racecheck
    results_row 'rows in C that call them (`cuda_*.c`)' rows
    results_row 'matrix products through cuBLASLt (`cuda_lt.c`, `cuda_matmul.c`), tf32 among them' rows tf32
    results_row 'the device: memory, streams, events, copies, marks (`engine/device/cuda/`)' device
    results_row 'the engine on it: training over stages, schedules' exactness near_the_cpu trace memcheck racecheck synccheck
    results_row 'the same in bf16 (`--dtype bf16`)' bf16
    results_row 'the generator on it: prompts in chunks, tokens, several samples, stages' generation
    results_row 'times of kernels (`--profile`), GPT-2 124M in bf16' speed
    results_row 'pipelines of processes over NCCL (`engine/transport/nccl/`)' nccl_2 nccl_4 nccl_death nccl_memcheck
    results_row 'replicas and ZeRO-1 over NCCL' nccl_replicas
    results_row 'statuses of the CUDA runtime (`cuda_error.c`)' rows
}
