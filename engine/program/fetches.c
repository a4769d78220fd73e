#include "engine/program/fetches.h"

#include <string.h>

#include "base/text.h"
#include "engine/program/pack.h"

static weir_status node_find(const struct weir_graph *graph, const char *name, struct weir_arena *arena, int *node_out)
{
    const char **names;
    for (int n = 0; n < graph->n_nodes && name; n++)
        if (!strcmp(graph->nodes[n].name, name)) {
            *node_out = n;
            return WEIR_OK;
        }
    if (!name)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a value to fetch needs the name of its node: it is NULL");
    weir_status status = weir_arena_alloc(arena, (size_t)graph->n_nodes + 1, sizeof *names, &names);
    if (status)
        return status;
    for (int n = 0; n < graph->n_nodes; n++)
        names[n] = graph->nodes[n].name;
    const char *near = weir_suggest(name, names);
    return WEIR_FAIL(WEIR_ERR_USAGE, "model '%s' has no node '%s' to fetch the value of%s%s%s", graph->name, name,
                     near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int rank_of(const struct weir_build *build, int node)
{
    int stage = 0, layer = build->graph->nodes[node].layer;
    while (build->first_layer[stage + 1] <= layer)
        stage++;
    return build->program->stages[stage].rank;
}

static weir_status row_add(struct weir_program *program, const struct weir_fetch *fetch, const char *name, struct weir_arena *arena)
{
    struct weir_memory_row *row = &program->rows[program->n_rows];
    *row = (struct weir_memory_row){fetch->rank, WEIR_MEMORY_DATA, NULL, fetch->offset,
                                    fetch->stride * (size_t)program->n_microbatches, 0, -1};
    weir_status status = weir_arena_printf(arena, &row->name, "%s, to be fetched", name);
    program->n_rows += !status;
    return status;
}

static weir_status fetch_make(struct weir_build *build, const char *name, struct weir_arena *arena, struct weir_fetch *fetch)
{
    struct weir_program *program = build->program;
    weir_status status = node_find(build->graph, name, arena, &fetch->node);
    for (int i = 0; i < build->n_fetches && !status; i++)
        if (build->fetches[i].node == fetch->node)
            status = WEIR_FAIL(WEIR_ERR_USAGE, "node '%s' is named twice among the values to fetch", name);
    if (status)
        return status;
    fetch->rank = rank_of(build, fetch->node);
    size_t *bytes = &program->ranks[fetch->rank].bytes[WEIR_MEMORY_DATA];
    fetch->bytes = weir_shape_bytes(&build->graph->nodes[fetch->node].shapes.output);
    fetch->stride = weir_pack_round(fetch->bytes);
    fetch->offset = weir_pack_round(*bytes);
    *bytes = fetch->offset + fetch->stride * (size_t)program->n_microbatches;
    return row_add(program, fetch, name, arena);
}

static weir_status rows_extend(struct weir_program *program, int n, struct weir_arena *arena)
{
    struct weir_memory_row *rows;
    weir_status status = weir_arena_alloc(arena, (size_t)(program->n_rows + n), sizeof *rows, &rows);
    if (status)
        return status;
    memcpy(rows, program->rows, sizeof *rows * (size_t)program->n_rows);
    program->rows = rows;
    return WEIR_OK;
}

weir_status weir_fetches_make(struct weir_build *build, struct weir_arena *arena)
{
    const struct weir_engine_config *config = &build->config;
    struct weir_fetch *fetches;
    if (!config->n_fetches)
        return WEIR_OK;
    if (!build->guest)
        return WEIR_FAIL(WEIR_ERR_USAGE, "values are fetched after an evaluation: set evaluates in the configuration");
    if (build->program->n_slices > 1)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "values of sequences in slices cannot be fetched: use a schedule of whole sequences");
    weir_status status = weir_arena_alloc(arena, (size_t)config->n_fetches, sizeof *fetches, &fetches);
    if (!status)
        status = rows_extend(build->program, config->n_fetches, arena);
    build->fetches = fetches;
    for (; build->n_fetches < config->n_fetches && !status; build->n_fetches += !status)
        status = fetch_make(build, config->fetches[build->n_fetches], arena, &fetches[build->n_fetches]);
    return status;
}
