#include "engine/program/pipeline.h"

#include <string.h>

#include "base/text.h"

static weir_status file_agrees(const char *path, const struct weir_schedule *s, int n_stages, int n_chunks, int n_mb)
{
    if (n_stages > 0 && s->n_stages != n_stages)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has %d stages, --stages says %d", path, s->n_stages, n_stages);
    if (n_chunks > 0 && s->n_stages != n_chunks * s->n_ranks)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has %d stages on %d ranks, --chunks says %d per rank", path, s->n_stages,
                         s->n_ranks, n_chunks);
    if (n_mb > 0 && s->n_microbatches != n_mb)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has %d micro-batches, --microbatches says %d", path, s->n_microbatches,
                         n_mb);
    return WEIR_OK;
}

/* Two ranks that hold the same stage would have to add their gradients; the executor has one owner per stage. */
static weir_status copies_check(const char *name, const struct weir_schedule *s)
{
    if (s->n_copies == 1)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED,
                     "schedule '%s' holds %d copies of the weights: it can be checked and simulated, not run; dualpipev "
                     "and interleaved hold one",
                     name, s->n_copies);
}

bool weir_pipeline_is_file(const char *name)
{
    return strchr(name, '/') || strchr(name, '.');
}

weir_status weir_pipeline_schedule_file(const char *path, enum weir_csv_dialect dialect, int n_stages, int n_chunks,
                                        int n_microbatches, struct weir_arena *arena, struct weir_schedule *out)
{
    struct weir_schedule schedule;
    weir_status status = weir_schedule_csv_load(path, dialect, arena, &schedule);
    if (!status)
        status = copies_check(path, &schedule);
    if (!status)
        status = file_agrees(path, &schedule, n_stages, n_chunks, n_microbatches);
    if (!status)
        *out = schedule;
    return status;
}

weir_status weir_pipeline_schedule(const char *name, int n_stages, int n_chunks, int n_microbatches,
                                   struct weir_arena *arena, struct weir_schedule *out)
{
    struct weir_schedule schedule;
    if (weir_pipeline_is_file(name))
        return weir_pipeline_schedule_file(name, WEIR_CSV_TORCH, n_stages, n_chunks, n_microbatches, arena, out);
    const struct weir_schedule_kind *kind;
    weir_status status = weir_schedule_kind_find(name, &kind);
    if (status)
        return status;
    if (n_chunks > 0 && kind->n_chunks > 0 && n_chunks != kind->n_chunks)
        return WEIR_FAIL(WEIR_ERR_USAGE, "schedule '%s' needs %d chunk%s per rank: --chunks %d or no --chunks", name,
                         kind->n_chunks, kind->n_chunks == 1 ? "" : "s", kind->n_chunks);
    int own = kind->n_chunks > 0 ? kind->n_chunks : kind->default_chunks > 0 ? kind->default_chunks : 1;
    int v = n_chunks > 0 ? n_chunks : own;
    if (n_stages < 1 || n_stages % v)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%d stages cannot be dealt out as %d chunks per rank: change --stages or --chunks",
                         n_stages, v);
    struct weir_schedule_params params = {.n_ranks = n_stages / v, .n_chunks = v, .n_microbatches = n_microbatches};
    status = weir_schedule_build(kind, &params, arena, &schedule);
    if (!status)
        status = copies_check(name, &schedule);
    if (!status)
        *out = schedule;
    return status;
}
