/* Schedules by name or file, for a number of stages. */
#include <string.h>

#include "base/text.h"
#include "engine/weir.h"

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

static bool is_file_name(const char *name)
{
    return strchr(name, '/') || strchr(name, '.');
}

weir_status weir_pipeline_schedule(const char *name, int n_stages, int n_chunks, int n_microbatches,
                                   struct weir_arena *arena, struct weir_schedule *out)
{
    struct weir_schedule schedule;
    weir_status status;
    if (is_file_name(name)) {
        status = weir_schedule_csv_load(name, WEIR_CSV_TORCH, arena, &schedule);
        if (!status)
            status = file_agrees(name, &schedule, n_stages, n_chunks, n_microbatches);
        if (!status)
            *out = schedule;
        return status;
    }
    const struct weir_schedule_kind *kind;
    status = weir_schedule_kind_find(name, &kind);
    if (status)
        return status;
    int v = n_chunks > 0 ? n_chunks : kind->n_chunks > 0 ? kind->n_chunks : 1;
    if (n_stages < 1 || n_stages % v)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%d stages cannot be dealt out as %d chunks per rank: change --stages or --chunks",
                         n_stages, v);
    struct weir_schedule_params params = {.n_ranks = n_stages / v, .n_chunks = v, .n_microbatches = n_microbatches};
    return weir_schedule_build(kind, &params, arena, out);
}
