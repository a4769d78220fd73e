#include "engine/program/pipeline.h"

#include <string.h>

#include "base/integers.h"

static weir_status file_agrees(const char *path, const struct weir_schedule *s, int n_stages, int n_chunks, int n_mb)
{
    if (n_stages > 0 && s->n_stages != n_stages)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has %d stages, but " WEIR_OPTION("stages=%d") " was given", path,
                         s->n_stages, n_stages);
    if (n_chunks > 0 && s->n_stages != n_chunks * s->n_ranks)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has %d stages on %d ranks, but " WEIR_OPTION("chunks=%d") " was given",
                         path, s->n_stages, s->n_ranks, n_chunks);
    if (n_mb > 0 && s->n_microbatches != n_mb)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has %d micro-batches, but " WEIR_OPTION("microbatches=%d") " was given",
                         path, s->n_microbatches, n_mb);
    return WEIR_OK;
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
        status = file_agrees(path, &schedule, n_stages, n_chunks, n_microbatches);
    if (!status)
        *out = schedule;
    return status;
}

/* Stages per rank of a kind: as asked for, or what it has without. */
static weir_status chunks_settle(const struct weir_schedule_kind *kind, int n_stages, int n_chunks, int *chunks_out)
{
    int v = n_chunks > 0 ? n_chunks : weir_schedule_kind_chunks(kind);
    if (kind->n_chunks > 0 && v != kind->n_chunks)
        return WEIR_FAIL(WEIR_ERR_USAGE,
                         "schedule '%s' needs %d chunk%s per rank, not %d: use " WEIR_OPTION("chunks=%d"), kind->name,
                         kind->n_chunks, kind->n_chunks == 1 ? "" : "s", v, kind->n_chunks);
    if (n_stages < 1 || n_stages % v)
        return WEIR_FAIL(WEIR_ERR_USAGE,
                         "schedule '%s' with %d stages on each rank cannot have %d stages: use "
                         WEIR_OPTION("stages=%d") "%s",
                         kind->name, v, n_stages, (weir_int_max(n_stages, 1) + v - 1) / v * v,
                         kind->n_chunks ? "" : " or another number of " WEIR_OPTION("chunks"));
    *chunks_out = v;
    return WEIR_OK;
}

weir_status weir_pipeline_schedule(const char *name, int n_stages, int n_chunks, int n_microbatches,
                                   struct weir_arena *arena, struct weir_schedule *out)
{
    if (weir_pipeline_is_file(name))
        return weir_pipeline_schedule_file(name, WEIR_CSV_TORCH, n_stages, n_chunks, n_microbatches, arena, out);
    const struct weir_schedule_kind *kind;
    int v = 0;
    weir_status status = weir_schedule_kind_find(name, &kind);
    if (!status)
        status = chunks_settle(kind, n_stages, n_chunks, &v);
    if (status)
        return status;
    struct weir_schedule_params params = {.n_ranks = n_stages / v, .n_chunks = v, .n_microbatches = n_microbatches};
    return weir_schedule_build(kind, &params, arena, out);
}
