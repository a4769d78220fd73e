/* Templates: the kernel calls of one stage, for any micro-batch.
 *
 * Forward: one call per node.  A value that a backward will need is kept in the micro-batch's activation block (ACT_FI
 * or ACT_FW), a value that goes on to a later stage and that nothing in this one reads is written straight into that stage's
 * slot, all others are scratch.  What else goes on is copied into slots at the end.
 *
 * Backward: nodes in descending order.  The gradient of a value is the sum over its consumers; the first consumer writes
 * it, each further one adds to it (`addend`).  Where consumers are on several stages, the last one's hands its sum to that of
 * the one before, in a gradient slot: the same calls add the same numbers in the same order as on one stage.  A node that
 * takes a value as several inputs has a gradient for each: its kernel adds the first to the sum, a call of `add` each further
 * one.  Sums (residual connections) hand their gradient on without a call.  One pass makes the list of full backwards (B);
 * the lists of I and W are the same calls taken apart, and the gradients that W reads then move from scratch to ACT_IW.  A
 * recomputed layer's forward calls come again right before its backward; what they make is scratch, or ACT_IW, in the same
 * way. */
#include "engine/program/template.h"

#include <string.h>

static bool stage_has(const struct weir_compile *c, int stage, enum weir_action_type type)
{
    const struct weir_schedule_rank *rank = &c->schedule->ranks[c->program->stages[stage].rank];
    for (size_t i = 0; i < rank->n_actions; i++)
        if (rank->actions[i].stage == stage && rank->actions[i].type == type)
            return true;
    return false;
}

/* All that crosses the boundaries. */
static weir_status crossings_list(const struct weir_template *t, const int *boundaries, int n_boundaries,
                                  struct weir_template_crossing **list_out, int *n_out)
{
    const struct weir_program *program = t->c->program;
    size_t most = 0;
    for (int i = 0; i < n_boundaries; i++)
        most += (size_t)program->boundaries[boundaries[i]].n_values;
    weir_status status = weir_arena_alloc(t->c->arena, most, sizeof **list_out, list_out);
    for (int i = 0; i < n_boundaries && !status; i++)
        for (int v = 0; v < program->boundaries[boundaries[i]].n_values; v++) {
            const struct weir_crossing *crossing = &program->boundaries[boundaries[i]].values[v];
            (*list_out)[(*n_out)++] = (struct weir_template_crossing){
                .value = crossing->value, .bytes = weir_template_value_bytes(t, crossing->value),
                .slot = {WEIR_PLACE_SLOT, crossing->offset, 0, boundaries[i]},
                .gradient = {WEIR_PLACE_GRAD_SLOT, crossing->offset, 0, boundaries[i]}};
        }
    return status;
}

static weir_status slice_template(struct weir_compile *c, int stage, int slice)
{
    struct weir_stage_program *s = &c->program->stages[stage];
    const struct weir_graph *graph = c->slices[slice].graph;
    struct weir_template t = {.c = c, .slice = slice, .graph = graph, .stage = s, .first = s->first_node,
                              .end = s->first_node + s->n_nodes};
    size_t n = (size_t)s->n_nodes;
    t.status = crossings_list(&t, s->ins, s->n_ins, &t.ins, &t.n_ins);
    if (!t.status)
        t.status = crossings_list(&t, s->outs, s->n_outs, &t.outs, &t.n_outs);
    if (!t.status)
        t.status = weir_arena_alloc(c->arena, n, sizeof *t.value_at, &t.value_at);
    if (!t.status)
        t.status = weir_arena_alloc(c->arena, n, sizeof *t.saved_at, &t.saved_at);
    if (!t.status)
        t.status = weir_arena_alloc(c->arena, n + (size_t)t.n_ins, sizeof *t.grad_at, &t.grad_at);
    struct weir_keeps_params keeps = {c->graph, c->forward_only ? NULL : c->wants_grad, c->params->recompute, t.first,
                                      t.end};
    if (!t.status)
        t.status = weir_keeps_find(&keeps, c->arena, &t.keeps);
    if (!t.status)
        weir_template_forward(&t);
    if (!t.status && stage_has(c, stage, WEIR_B)) {
        struct weir_template_list list = {0};
        weir_template_backward(&t, &list);
        weir_template_resolve(&t, &list, WEIR_LIST_B);
    }
    if (!t.status && stage_has(c, stage, WEIR_I))
        weir_template_split(&t);
    return t.status;
}

weir_status weir_compile_template(struct weir_compile *c, int stage)
{
    struct weir_stage_program *s = &c->program->stages[stage];
    size_t most[3] = {0}, n = (size_t)c->program->n_slices;
    weir_status status = weir_arena_alloc(c->arena, n, sizeof *s->slice_act_bytes, &s->slice_act_bytes);
    for (int slice = 0; slice < c->program->n_slices && !status; slice++) {
        memset(s->act_bytes, 0, sizeof s->act_bytes);
        status = slice_template(c, stage, slice);
        for (int part = 0; part < 3 && !status; part++) {
            s->slice_act_bytes[slice][part] = s->act_bytes[part];
            most[part] = s->act_bytes[part] > most[part] ? s->act_bytes[part] : most[part];
        }
    }
    memcpy(s->act_bytes, most, sizeof most);
    return status;
}
