#include "include/weir/schedule.h"

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
    int whole = s->n_microbatches / weir_schedule_slices(s);
    if (n_mb > 0 && whole != n_mb)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has %d micro-batches, but " WEIR_OPTION("microbatches=%d") " was given",
                         path, whole, n_mb);
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

static weir_status slices_agree(const char *path, const struct weir_schedule *s, int n_slices)
{
    if (!n_slices || weir_schedule_slices(s) == n_slices)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' cuts sequences into %d slice%s, but " WEIR_OPTION("slices=%d") " was given", path,
                     weir_schedule_slices(s), weir_schedule_slices(s) == 1 ? "" : "s", n_slices);
}

weir_status weir_pipeline_schedule(const char *name, int n_stages, int n_chunks, int n_microbatches,
                                   struct weir_arena *arena, struct weir_schedule *out)
{
    return weir_pipeline_schedule_slices(name, n_stages, n_chunks, n_microbatches, 0, arena, out);
}

weir_status weir_pipeline_schedule_slices(const char *name, int n_stages, int n_chunks, int n_microbatches, int n_slices,
                                          struct weir_arena *arena, struct weir_schedule *out)
{
    if (weir_pipeline_is_file(name)) {
        struct weir_schedule read;
        weir_status status = weir_pipeline_schedule_file(name, WEIR_CSV_TORCH, n_stages, n_chunks, n_microbatches, arena, &read);
        if (!status)
            status = slices_agree(name, &read, n_slices);
        if (!status)
            *out = read;
        return status;
    }
    const struct weir_schedule_kind *kind;
    int v = 0;
    weir_status status = weir_schedule_kind_find(name, &kind);
    if (!status)
        status = chunks_settle(kind, n_stages, n_chunks, &v);
    if (status)
        return status;
    struct weir_schedule_params params = {.n_ranks = n_stages / v, .n_chunks = v, .n_microbatches = n_microbatches,
                                          .n_slices = n_slices};
    return weir_schedule_build(kind, &params, arena, out);
}
