/* Forwards without a loss, and the values that they kept. */
#include <string.h>

#include "base/alloc.h"
#include "engine/program/fetches.h"
#include "engine/run/transfer.h"
#include "engine/train/trainer.h"
#include "kernels/cpu/storage.h"

/* The index in the build's fetches; -1: the value is not among them. */
static int fetch_find(const struct weir_build *build, const char *name)
{
    for (int i = 0; i < build->n_fetches; i++)
        if (!strcmp(build->graph->nodes[build->fetches[i].node].name, name))
            return i;
    return -1;
}

static weir_status fetch_check(const weir_engine *engine, const char *name, int mb, const float *values, size_t n, int *fetch_out)
{
    const struct weir_build *build = &engine->runner.build;
    int all = build->n_replicas * build->program->n_microbatches, fetch = name ? fetch_find(build, name) : -1;
    if (!name || !values)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a value to fetch needs a name and room: one of them is NULL");
    if (fetch < 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "the value of node '%s' is not kept: name it in fetches of the configuration", name);
    if (!engine->has_values)
        return WEIR_FAIL(WEIR_ERR_USAGE, "there is no value of node '%s' yet: run weir_engine_forward or weir_engine_evaluate", name);
    if (mb < 0 || mb >= all)
        return WEIR_FAIL(WEIR_ERR_INVALID, "micro-batch %d is out of range, a run has %d", mb, all);
    int64_t elements = weir_shape_elements(&build->graph->nodes[build->fetches[fetch].node].shapes.output);
    if ((size_t)elements != n)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the value of node '%s' has %lld elements, not %zu", name, (long long)elements, n);
    *fetch_out = fetch;
    return WEIR_OK;
}

/* Losses are doubles. */
static void numbers_take(enum weir_dtype dtype, const void *bytes, size_t n, float *values_out)
{
    const double *wide = bytes;
    if (dtype == WEIR_DTYPE_BF16)
        weir_widen((int64_t)n, bytes, values_out);
    else if (dtype == WEIR_DTYPE_F32)
        memcpy(values_out, bytes, n * sizeof *values_out);
    else
        for (size_t i = 0; i < n; i++)
            values_out[i] = (float)wide[i];
}

/* As it is stored, on every process. */
static weir_status bytes_read(weir_engine *engine, const struct weir_fetch *fetch, int mb, void *bytes_out)
{
    struct weir_runner *runner = &engine->runner;
    int m = runner->build.program->n_microbatches, replica = mb / m;
    struct weir_rank *rank = weir_rank_at(&runner->machine, replica, fetch->rank);
    weir_status status = WEIR_OK;
    if (weir_rank_is_here(rank))
        status = weir_read(rank, WEIR_MEMORY_DATA, fetch->offset + fetch->stride * (size_t)(mb % m), bytes_out, fetch->bytes);
    return status ? status : weir_world_share(&runner->world, replica, fetch->rank, bytes_out, fetch->bytes);
}

weir_status weir_engine_fetch(weir_engine *engine, const char *name, int mb, float *values_out, size_t n)
{
    int index = 0;
    char *bytes;
    weir_status status = weir_engine_here(engine);
    if (!status)
        status = fetch_check(engine, name, mb, values_out, n, &index);
    if (status)
        return status;
    const struct weir_fetch *fetch = &engine->runner.build.fetches[index];
    status = weir_alloc(fetch->bytes, 1, &bytes);
    if (status)
        return status;
    status = bytes_read(engine, fetch, mb, bytes);
    if (!status)
        numbers_take(engine->runner.build.graph->nodes[fetch->node].shapes.output.dtype, bytes, n, values_out);
    weir_free(bytes);
    return status;
}
