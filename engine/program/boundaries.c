/* Boundaries: what crosses from stage to stage.
 *
 * A value goes from reader to reader (trips.h), and its gradient comes back the same way, each stage adding what its own readers
 * give.  All that goes from one stage to the same other one shares a boundary.
 *
 *     stage 0 ──a, b──▶ stage 1 ──b, c──▶ stage 2        stage 1 reads a and b and makes c, stage 2 reads b and c
 *     stage 0 ──a────▶ stage 1 ──c────▶ stage 2          stage 1 reads a and makes c, stage 2 reads b and c
 *             └──b────────────────────▶ stage 2
 */
#include "engine/program/compile.h"
#include "engine/program/pack.h"
#include "engine/program/trips.h"

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

/* The boundary of the trips, which stand beside each other. */
static weir_status crossings_make(struct weir_compile *c, struct weir_boundary *b, const struct weir_trip *trips)
{
    struct weir_crossing *values;
    weir_status status = weir_arena_alloc(c->arena, (size_t)b->n_values, sizeof *values, &values);
    if (status)
        return status;
    size_t bytes = 0;
    for (int i = 0; i < b->n_values; i++) {
        values[i] = (struct weir_crossing){trips[i].value, bytes, value_bytes(c, trips[i].value)};
        bytes += values[i].bytes;
    }
    b->values = values;
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

static weir_status boundaries_make(struct weir_compile *c, const struct weir_trip *trips, int n_trips)
{
    struct weir_program *program = c->program;
    weir_status status = WEIR_OK;
    for (int first = 0, end; first < n_trips && !status; first = end) {
        struct weir_boundary *b = &program->boundaries[program->n_boundaries++];
        for (end = first + 1; end < n_trips && trips[end].from == trips[first].from && trips[end].to == trips[first].to;)
            end++;
        *b = (struct weir_boundary){.from = trips[first].from, .to = trips[first].to, .n_values = end - first};
        status = crossings_make(c, b, &trips[first]);
    }
    return status;
}

weir_status weir_compile_boundaries(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    const struct weir_trip *trips;
    int n_trips;
    weir_status status = weir_trips_find(c->graph, c->params->first_layer, program->n_stages, c->arena, &trips, &n_trips);
    if (!status)
        status = weir_arena_alloc(c->arena, (size_t)n_trips, sizeof *program->boundaries, &program->boundaries);
    if (!status)
        status = boundaries_make(c, trips, n_trips);
    return status ? status : ends_list(c);
}
