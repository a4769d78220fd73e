#include "engine/run/extra_memory.h"

#include <string.h>

#include "engine/run/transfer.h"

static bool has_rows(const struct weir_engine *engine)
{
    return !(engine->kind->flags & WEIR_DEVICE_HOST_MEMORY);
}

static int n_ranks(const struct weir_engine *engine)
{
    return engine->program->n_ranks * engine->n_replicas; /* a preview has no ranks */
}

/* ---- making -------------------------------------------------------------------------------------------------------- */

weir_status weir_extra_add(weir_engine *engine, const struct weir_extra *row)
{
    struct weir_extra *copy, **end = &engine->extras;
    weir_status status = weir_arena_alloc(&engine->arena, 1, sizeof *copy, &copy);
    if (status)
        return status;
    *copy = *row;
    copy->next = NULL;
    while (*end)
        end = &(*end)->next;
    *end = copy;
    if (engine->peak_bytes && row->rank != WEIR_EXTRA_ALL && !row->on_host)
        engine->peak_bytes[row->rank] += row->bytes;
    return WEIR_OK;
}

static weir_status pinned_add(struct weir_engine *engine, int r, const char *what, size_t bytes)
{
    return bytes ? weir_extra_add(engine, &(struct weir_extra){.what = what, .rank = r, .on_host = true, .is_known = true,
                                                               .bytes = bytes})
                 : WEIR_OK;
}

static weir_status rank_rows_make(struct weir_engine *engine, int r, int device)
{
    const size_t *blocks = engine->program->ranks[r % engine->program->n_ranks].bytes;
    struct weir_extra workspace = {.what = "workspace of matrix products", .rank = r, .device = device, .is_known = true,
                                   .bytes = engine->kind->context_bytes};
    weir_status status = weir_extra_add(engine, &workspace);
    if (!status)
        status = pinned_add(engine, r, "pinned mirror of data", blocks[WEIR_MEMORY_DATA]);
    if (!status)
        status = pinned_add(engine, r, "pinned mirror of step", blocks[WEIR_MEMORY_STEP]);
    return status ? status : pinned_add(engine, r, "pinned chunk for parameters", WEIR_TRANSFER_BYTES);
}

/* Measured by the first rank on the device. */
static weir_status device_row_make(struct weir_engine *engine, const struct weir_rank *rank, int device)
{
    struct weir_extra row = {.what = "context, modules and other users of the GPU", .rank = WEIR_EXTRA_ALL, .device = device,
                             .is_taken = true, .is_known = rank};
    size_t free_bytes, total_bytes;
    weir_status status = rank ? engine->kind->memory_info(rank->device, &free_bytes, &total_bytes) : WEIR_OK;
    if (status)
        return status;
    row.bytes = rank ? total_bytes - free_bytes : 0;
    return weir_extra_add(engine, &row);
}

static bool is_first_on(const int *indices, int r)
{
    for (int q = 0; q < r; q++)
        if (indices[q] == indices[r])
            return false;
    return indices[r] != WEIR_EXTRA_UNKNOWN;
}

weir_status weir_extra_make(weir_engine *engine, const int *indices)
{
    weir_status status = WEIR_OK;
    engine->extra_devices = indices;
    if (has_rows(engine) && engine->wire && !engine->ranks)
        status = device_row_make(engine, NULL, WEIR_EXTRA_UNKNOWN); /* of each process: which GPUs they find is not known */
    for (int r = 0; r < n_ranks(engine) && !status && has_rows(engine); r++)
        if (is_first_on(indices, r))
            status = device_row_make(engine, engine->ranks ? &engine->ranks[r] : NULL, indices[r]);
    for (int r = 0; r < n_ranks(engine) && !status && has_rows(engine); r++)
        status = rank_rows_make(engine, r, indices[r]);
    return status;
}

/* ---- asking -------------------------------------------------------------------------------------------------------- */

size_t weir_extra_bytes(const weir_engine *engine, int r, bool taken_too)
{
    size_t bytes = 0;
    for (const struct weir_extra *row = engine->extras; row; row = row->next)
        if (row->rank == r && !row->on_host && (taken_too || !row->is_taken))
            bytes += row->bytes;
    return bytes;
}

static void row_print(const struct weir_engine *engine, const struct weir_extra *row, FILE *out)
{
    char rank[16] = "-", where[32] = "host", bytes[24] = "measured at start";
    if (row->rank != WEIR_EXTRA_ALL)
        snprintf(rank, sizeof rank, "%d", row->rank);
    if (!row->on_host && row->device == WEIR_EXTRA_UNKNOWN)
        snprintf(where, sizeof where, "%s", engine->kind->name);
    else if (!row->on_host)
        snprintf(where, sizeof where, "%s:%d", engine->kind->name, row->device);
    if (row->is_known)
        snprintf(bytes, sizeof bytes, "%zu", row->bytes);
    fprintf(out, "%s %-8s %18s %s\n", rank, where, bytes, row->what);
}

static void device_print(const struct weir_engine *engine, int device, FILE *out)
{
    size_t blocks = 0, beside = 0;
    bool known = true;
    fprintf(out, "%s:%d: ranks", engine->kind->name, device);
    for (int r = 0; r < n_ranks(engine); r++)
        if (engine->extra_devices[r] == device) {
            fprintf(out, " %d", r);
            blocks += weir_program_rank_bytes(engine->program, r % engine->program->n_ranks);
        }
    for (const struct weir_extra *row = engine->extras; row; row = row->next)
        if (!row->on_host && row->device == device) {
            beside += row->bytes;
            known &= row->is_known;
        }
    fprintf(out, ", blocks %zu, beside them %zu, all %zu%s\n", blocks, beside, blocks + beside,
            known ? "" : " and what is measured at start");
}

void weir_extra_print(const weir_engine *engine, FILE *out)
{
    if (!engine->extras)
        return;
    fprintf(out, "# beside the blocks: rank where bytes what\n");
    for (const struct weir_extra *row = engine->extras; row; row = row->next)
        row_print(engine, row, out);
    fprintf(out, "# totals per device in bytes\n");
    for (int r = 0; r < n_ranks(engine); r++)
        if (is_first_on(engine->extra_devices, r))
            device_print(engine, engine->extra_devices[r], out);
}
