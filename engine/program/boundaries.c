/* Boundaries: what crosses from stage to stage.
 *
 * A value that a later stage reads goes there by way of every stage between: one that does not read it hands it on, from its
 * input slot into the next stage's.  The gradient comes back the same way, each stage adding what its own readers give.
 *
 *     stage 0 ──a, b──▶ stage 1 ──b, c──▶ stage 2        stage 2 reads b and c, stage 1 reads a and makes c
 *
 * So a boundary lies between neighbours, and has all that crosses the border of the two. */
#include "engine/program/compile.h"
#include "engine/program/pack.h"

/* A slot has room for the longest slice. */
static size_t value_bytes(const struct weir_compile *c, int value)
{
    size_t most = 0;
    for (int k = 0; k < c->program->n_slices; k++) {
        size_t bytes = weir_pack_round(weir_shape_bytes(weir_graph_shape(c->slices[k].graph, value)));
        most = bytes > most ? bytes : most;
    }
    return most;
}

static weir_status crossings_make(struct weir_compile *c, struct weir_boundary *b)
{
    const struct weir_layer *layer = &c->graph->layers[c->program->stages[b->to].first_layer];
    struct weir_crossing *values;
    weir_status status = weir_arena_alloc(c->arena, (size_t)layer->n_crossing, sizeof *values, &values);
    if (status)
        return status;
    size_t bytes = 0;
    for (int i = 0; i < layer->n_crossing; i++) {
        values[i] = (struct weir_crossing){layer->crossing[i], bytes, value_bytes(c, layer->crossing[i])};
        bytes += values[i].bytes;
    }
    b->values = values;
    b->n_values = layer->n_crossing;
    b->inputs.bytes = b->gradients.bytes = bytes;
    return WEIR_OK;
}

/* Every stage's lists of the boundaries into it and out of it. */
static weir_status ends_list(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    int *lists, at = 0;
    weir_status status = weir_arena_alloc(c->arena, 2 * (size_t)program->n_boundaries, sizeof *lists, &lists);
    if (status)
        return status;
    for (int b = 0; b < program->n_boundaries; b++) {
        program->stages[program->boundaries[b].to].n_ins++;
        program->stages[program->boundaries[b].from].n_outs++;
    }
    for (int s = 0; s < program->n_stages; s++) {
        struct weir_stage_program *stage = &program->stages[s];
        stage->ins = lists + at;
        stage->outs = stage->ins + stage->n_ins;
        at += stage->n_ins + stage->n_outs;
        stage->n_ins = stage->n_outs = 0; /* counted again as they are filled in */
    }
    for (int b = 0; b < program->n_boundaries; b++) {
        struct weir_stage_program *to = &program->stages[program->boundaries[b].to];
        struct weir_stage_program *from = &program->stages[program->boundaries[b].from];
        to->ins[to->n_ins++] = b;
        from->outs[from->n_outs++] = b;
    }
    return WEIR_OK;
}

weir_status weir_compile_boundaries(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    size_t n = (size_t)program->n_stages - 1;
    weir_status status = weir_arena_alloc(c->arena, n, sizeof *program->boundaries, &program->boundaries);
    for (int s = 1; s < program->n_stages && !status; s++) {
        struct weir_boundary *b = &program->boundaries[program->n_boundaries++];
        *b = (struct weir_boundary){.from = s - 1, .to = s};
        status = crossings_make(c, b);
    }
    return status ? status : ends_list(c);
}
