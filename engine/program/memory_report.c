#include "engine/program/memory_report_make.h"

static struct weir_rank_memory rank_memory(const struct weir_build *build, const struct weir_extras *extras, int r)
{
    size_t bytes[WEIR_MEMORY_KINDS];
    for (int k = 0; k < WEIR_MEMORY_KINDS; k++)
        bytes[k] = weir_program_worker_block(build->program, r, (enum weir_memory_kind)k);
    struct weir_rank_memory m = {
        .parameters = bytes[WEIR_MEMORY_PARAMS] + bytes[WEIR_MEMORY_COPIES],
        .gradients = bytes[WEIR_MEMORY_GRADS],
        .optimizer = bytes[WEIR_MEMORY_OPTIMIZER],
        .activations = bytes[WEIR_MEMORY_ACTIVATIONS],
        .slots = bytes[WEIR_MEMORY_SLOTS] + bytes[WEIR_MEMORY_GRAD_SLOTS],
        .cache = bytes[WEIR_MEMORY_CACHE],
        .all = weir_rank_device_bytes(build, extras, r),
    };
    m.beside = m.all - m.parameters - m.gradients - m.optimizer - m.activations - m.slots - m.cache;
    return m;
}

static bool some_measured(const struct weir_extras *extras)
{
    for (const struct weir_extra *row = extras->rows; row; row = row->next)
        if (!row->is_known)
            return true;
    return false;
}

weir_status weir_memory_report_make(const struct weir_build *build, const struct weir_extras *extras, struct weir_arena *arena,
                                    struct weir_memory_report *report_out)
{
    struct weir_memory_report report = {.n_ranks = build->program->n_ranks, .n_replicas = build->n_replicas / build->program->n_copies,
                                        .is_measured = some_measured(extras), .cap = (size_t)build->config.device_memory};
    struct weir_rank_memory *ranks;
    weir_status status = weir_arena_alloc(arena, (size_t)report.n_ranks, sizeof *ranks, &ranks);
    if (status)
        return status;
    for (int r = 0; r < report.n_ranks; r++) {
        ranks[r] = rank_memory(build, extras, r);
        report.largest = ranks[r].all > ranks[report.largest].all ? r : report.largest;
        report.generates |= ranks[r].cache > 0;
    }
    report.ranks = ranks;
    report.fits = !report.cap || ranks[report.largest].all <= report.cap;
    *report_out = report;
    return WEIR_OK;
}
