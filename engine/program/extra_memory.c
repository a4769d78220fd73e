#include "engine/program/extra_memory.h"

#include "base/text_stream.h"
#include "engine/program/addresses.h"
#include "kernels/cpu/matmul.h"
#include "weir_libraries.h"

/* ---- making -------------------------------------------------------------------------------------------------------- */

weir_status weir_extra_add(struct weir_extras *extras, struct weir_arena *arena, const struct weir_extra *row)
{
    struct weir_extra *copy;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *copy, &copy);
    if (status)
        return status;
    *copy = *row;
    copy->next = NULL;
    *(extras->last ? &extras->last->next : &extras->rows) = copy;
    extras->last = copy;
    return WEIR_OK;
}

static weir_status pinned_add(struct weir_extras *extras, struct weir_arena *arena, int r, const char *what, size_t bytes)
{
    struct weir_extra row = {.what = what, .rank = r, .on_host = true, .is_known = true, .bytes = bytes};
    return bytes ? weir_extra_add(extras, arena, &row) : WEIR_OK;
}

static weir_status rank_rows_make(const struct weir_build *build, struct weir_extras *extras, struct weir_arena *arena, int r)
{
    const struct weir_program *program = build->program;
    int worker = r % program->n_ranks;
    size_t data = weir_program_worker_block(program, worker, WEIR_MEMORY_DATA);
    size_t step = weir_program_worker_block(program, worker, WEIR_MEMORY_STEP);
    struct weir_extra workspace = {.what = "workspace of matrix products", .rank = r, .device = extras->device_of[r],
                                   .is_known = true, .bytes = build->kind->context_bytes};
    weir_status status = workspace.bytes ? weir_extra_add(extras, arena, &workspace) : WEIR_OK;
    if (!status)
        status = pinned_add(extras, arena, r, "pinned mirror of data", data);
    if (!status)
        status = pinned_add(extras, arena, r, "pinned mirror of step", step);
    return status ? status
                  : pinned_add(extras, arena, r, "pinned chunk for parameters", (size_t)program->n_copies * WEIR_TRANSFER_BYTES);
}

static size_t rank_snapshot_bytes(const struct weir_build *build, int replica, int index)
{
    const struct weir_program *program = build->program;
    const struct weir_rank_program *rank = &program->ranks[index];
    int64_t n = 0, moments = build->config.optimizer == WEIR_OPTIMIZER_ADAMW ? 2 : 0;
    for (int i = 0; i < rank->n_params && !replica; i++)
        if (rank->params[i].owned)
            n += weir_shape_elements(&build->graph->params[rank->params[i].param].shape);
    for (int i = 0; i < rank->n_pieces; i++)
        if (program->zero ? rank->pieces[i].replica == replica : !replica)
            n += moments * rank->pieces[i].n;
    return (size_t)n * sizeof(float);
}

size_t weir_snapshot_bytes(const struct weir_build *build, int r)
{
    int p = build->program->n_ranks, n_copies = build->program->n_copies;
    size_t bytes = 0;
    for (int copy = 0; copy < n_copies && build->config.snapshots; copy++)
        bytes += rank_snapshot_bytes(build, r / p * n_copies + copy, weir_program_worker(build->program, copy, r % p));
    return bytes;
}

size_t weir_address_bytes(const struct weir_build *build, int r)
{
    const struct weir_program *program = build->program;
    size_t bytes = 0;
    for (int copy = 0; copy < program->n_copies; copy++) {
        int rank = weir_program_worker(program, copy, r % program->n_ranks);
        bytes += weir_bindings_bytes(program, rank) + (build->guest ? weir_bindings_bytes(build->guest, rank) : 0);
    }
    return bytes;
}

size_t weir_host_bytes(const struct weir_build *build, int r)
{
    return weir_snapshot_bytes(build, r) + weir_address_bytes(build, r);
}

/* Replicas have those of the first. */
static weir_status address_rows_make(const struct weir_build *build, struct weir_extras *extras, struct weir_arena *arena)
{
    int p = build->program->n_ranks;
    size_t *bytes;
    weir_status status = weir_arena_alloc(arena, (size_t)p, sizeof *bytes, &bytes);
    for (int r = 0; r < weir_build_n_workers(build) && !status; r++) {
        bytes[r % p] = r < p ? weir_address_bytes(build, r) : bytes[r % p];
        struct weir_extra row = {.what = "addresses of kernel calls", .rank = r, .on_host = true, .is_known = true, .bytes = bytes[r % p]};
        status = weir_extra_add(extras, arena, &row);
    }
    return status;
}

static weir_status snapshot_row_make(const struct weir_build *build, struct weir_extras *extras, struct weir_arena *arena, int r)
{
    struct weir_extra row = {.what = "copy of the state for checkpoints", .rank = r, .on_host = true, .is_known = true,
                             .bytes = weir_snapshot_bytes(build, r)};
    return row.bytes ? weir_extra_add(extras, arena, &row) : WEIR_OK;
}

static weir_status device_row_make(struct weir_extras *extras, struct weir_arena *arena, int device, const size_t *taken)
{
    struct weir_extra row = {.what = "context, modules and other users of the GPU", .rank = WEIR_EXTRA_ALL, .device = device,
                             .is_taken = true, .is_known = taken, .bytes = taken ? *taken : 0};
    return weir_extra_add(extras, arena, &row);
}

static bool all_elsewhere(const struct weir_resources *have, int n)
{
    for (int r = 0; r < n; r++)
        if (have->device_of[r] != WEIR_DEVICE_ELSEWHERE)
            return false;
    return true;
}

weir_status weir_extras_make(const struct weir_build *build, const struct weir_resources *have, struct weir_arena *arena,
                             struct weir_extras *extras_out)
{
    struct weir_extras extras = {.device_of = have->device_of};
    int n = weir_build_is_on_host(build) ? 0 : weir_build_n_workers(build);
    weir_status status = WEIR_OK;
    if (n && all_elsewhere(have, n)) /* of each process: which GPUs they find is not known */
        status = device_row_make(&extras, arena, WEIR_DEVICE_ELSEWHERE, NULL);
    for (int r = 0; r < n && !status; r++)
        if (weir_is_first_on_device(have->device_of, r))
            status = device_row_make(&extras, arena, have->device_of[r], have->taken ? &have->taken[r] : NULL);
    for (int r = 0; r < n && !status; r++)
        status = rank_rows_make(build, &extras, arena, r);
    if (!status)
        status = address_rows_make(build, &extras, arena);
    for (int r = 0; r < weir_build_n_workers(build) && !status; r++)
        status = snapshot_row_make(build, &extras, arena, r);
    if (!status)
        *extras_out = extras;
    return status;
}

/* ---- asking -------------------------------------------------------------------------------------------------------- */

size_t weir_extra_bytes(const struct weir_extras *extras, int r, bool taken_too)
{
    size_t bytes = 0;
    for (const struct weir_extra *row = extras->rows; row; row = row->next)
        if (row->rank == r && !row->on_host && (taken_too || !row->is_taken))
            bytes += row->bytes;
    return bytes;
}

size_t weir_rank_device_bytes(const struct weir_build *build, const struct weir_extras *extras, int r)
{
    return weir_program_worker_bytes(build->program, r % build->program->n_ranks) + weir_extra_bytes(extras, r, true) +
           (weir_build_is_on_host(build) ? weir_host_bytes(build, r) : 0);
}

static void row_print(const struct weir_build *build, const struct weir_extra *row, FILE *out)
{
    char rank[16] = "-", where[32] = "host", bytes[24] = "measured at start";
    if (row->rank != WEIR_EXTRA_ALL)
        snprintf(rank, sizeof rank, "%d", row->rank);
    if (!row->on_host && row->device == WEIR_DEVICE_ELSEWHERE)
        snprintf(where, sizeof where, "%s", build->kind->name);
    else if (!row->on_host)
        snprintf(where, sizeof where, "%s:%d", build->kind->name, row->device);
    if (row->is_known)
        snprintf(bytes, sizeof bytes, "%zu", row->bytes);
    fprintf(out, "%s %-8s %18s %s\n", rank, where, bytes, row->what);
}

static void device_print(const struct weir_build *build, const struct weir_extras *extras, int device, FILE *out)
{
    size_t blocks = 0, beside = 0;
    bool known = true;
    fprintf(out, "%s:%d: ranks", build->kind->name, device);
    for (int r = 0; r < weir_build_n_workers(build); r++)
        if (extras->device_of[r] == device) {
            fprintf(out, " %d", r);
            blocks += weir_program_worker_bytes(build->program, r % build->program->n_ranks);
        }
    for (const struct weir_extra *row = extras->rows; row; row = row->next)
        if (!row->on_host && row->device == device) {
            beside += row->bytes;
            known &= row->is_known;
        }
    fprintf(out, ", blocks %zu, beside them %zu, all %zu%s\n", blocks, beside, blocks + beside,
            known ? "" : " and what is measured at start");
}

static void extras_print(const struct weir_build *build, const struct weir_extras *extras, FILE *out)
{
    if (!extras->rows)
        return;
    fprintf(out, "# beside the blocks: rank where bytes what\n");
    for (const struct weir_extra *row = extras->rows; row; row = row->next)
        row_print(build, row, out);
    if (weir_build_is_on_host(build))
        return;
    fprintf(out, "# totals per device in bytes\n");
    for (int r = 0; r < weir_build_n_workers(build); r++)
        if (weir_is_first_on_device(extras->device_of, r))
            device_print(build, extras, extras->device_of[r], out);
}

size_t weir_library_bytes(int n_threads)
{
    size_t of_process = (size_t)(WEIR_HAVE_ONEDNN ? 10 : 4) << 20;
    return of_process + (size_t)n_threads * weir_matmul_library_bytes();
}

static void library_print(FILE *out)
{
    size_t of_process = weir_library_bytes(0), of_thread = weir_library_bytes(1) - of_process;
    fprintf(out, "not in the table: libraries and threads, about %zu bytes", of_process);
    if (of_thread)
        fprintf(out, " and %zu for each thread that computes", of_thread);
    fprintf(out, "\n");
}

void weir_memory_print(const struct weir_build *build, const struct weir_extras *extras, FILE *out)
{
    weir_program_dump_memory(build->program, out);
    extras_print(build, extras, out);
    if (!weir_build_is_on_host(build))
        fprintf(out, "not in the table: what the device's own libraries take of the host, kernels loaded when first called\n");
    library_print(out);
}

weir_status weir_memory_say(const struct weir_build *build, const struct weir_extras *extras, weir_text_fn say, void *context)
{
    struct weir_text_stream stream;
    weir_status status = weir_text_stream_open(&stream);
    if (status)
        return status;
    weir_memory_print(build, extras, stream.out);
    return weir_text_stream_close(&stream, say, context);
}
