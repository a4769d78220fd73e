/* Forward templates: where each value is kept, and one call per node. */
#include "engine/program/template.h"

enum keep { KEEP_NOT, KEEP_FOR_I, KEEP_FOR_W };

static void keep_raise(enum keep *keep, enum keep wanted)
{
    if (*keep < wanted)
        *keep = wanted;
}

/* How long each value and each saved tensor of the stage is needed. */
static void keeps_find(const struct weir_plan *p, enum keep *values, enum keep *saved)
{
    for (int n = p->first; n < p->end && !p->c->forward_only; n++) {
        const struct weir_node *node = weir_plan_node(p, n);
        unsigned for_i = weir_plan_has_input_backward(p, n) ? node->op->input_needs : 0;
        unsigned for_w = weir_plan_has_weight_backward(p, n) ? node->op->weight_needs : 0;
        if ((node->op->flags & WEIR_OP_NO_SPLIT) && weir_plan_has_input_backward(p, n))
            for_i |= node->op->weight_needs;
        for (int i = 0; i < node->shapes.n_inputs; i++)
            if (weir_plan_inside(p, node->inputs[i])) {
                enum keep *keep = &values[node->inputs[i] - p->first];
                keep_raise(keep, for_w & (1u << i) ? KEEP_FOR_W : for_i & (1u << i) ? KEEP_FOR_I : KEEP_NOT);
            }
        unsigned output = WEIR_NEEDS_OUTPUT, state = WEIR_NEEDS_SAVED;
        keep_raise(&values[n - p->first], for_w & output ? KEEP_FOR_W : for_i & output ? KEEP_FOR_I : KEEP_NOT);
        keep_raise(&saved[n - p->first], for_w & state ? KEEP_FOR_W : for_i & state ? KEEP_FOR_I : KEEP_NOT);
    }
}

static struct weir_where kept_new(struct weir_plan *p, enum keep keep, size_t bytes)
{
    if (keep == KEEP_NOT || !bytes)
        return weir_plan_buffer(p, bytes);
    int part = keep == KEEP_FOR_W ? 1 : 0;
    struct weir_where where = {part ? WEIR_PLACE_ACT_FW : WEIR_PLACE_ACT_FI, p->stage->act_bytes[part], 0};
    p->stage->act_bytes[part] += weir_pack_round(bytes);
    return where;
}

static int consumers_count(const struct weir_plan *p, int value)
{
    int count = 0;
    for (int n = p->first; n < p->end; n++)
        for (int i = 0; i < weir_plan_node(p, n)->shapes.n_inputs; i++)
            count += weir_plan_node(p, n)->inputs[i] == value;
    return count;
}

/* The loss leaves the gradient of its prediction behind; when nobody else reads the prediction, in the same memory. */
static void loss_place(struct weir_plan *p, const enum keep *values)
{
    int loss = p->end - 1;
    if (p->output >= 0 || p->c->forward_only)
        return;
    int prediction = weir_plan_node(p, loss)->inputs[0];
    size_t bytes = weir_shape_bytes(weir_graph_shape(p->c->graph, prediction));
    if (!weir_plan_inside(p, prediction)) { /* the stage is the loss alone: the gradient waits for its I */
        p->input_grad_loss = kept_new(p, KEEP_FOR_I, bytes);
        return;
    }
    /* a sum hands the gradient on, so that the W of whoever made its terms may read it */
    bool for_w = weir_plan_has_weight_backward(p, prediction) || (weir_plan_node(p, prediction)->op->flags & WEIR_OP_SUM);
    p->input_grad_loss = kept_new(p, for_w ? KEEP_FOR_W : KEEP_FOR_I, bytes);
    if (values[prediction - p->first] == KEEP_NOT && consumers_count(p, prediction) == 1)
        p->value_at[prediction - p->first] = p->input_grad_loss;
}

static void forward_places(struct weir_plan *p)
{
    size_t n = (size_t)(p->end - p->first);
    enum keep *values = NULL, *saved = NULL;
    p->status = weir_arena_alloc(p->c->arena, n, sizeof *values, &values);
    if (!p->status)
        p->status = weir_arena_alloc(p->c->arena, n, sizeof *saved, &saved);
    if (p->status)
        return;
    keeps_find(p, values, saved);
    loss_place(p, values);
    for (int v = p->first; v < p->end; v++) {
        int i = v - p->first;
        const struct weir_op_shapes *shapes = &weir_plan_node(p, v)->shapes;
        p->saved_at[i] = kept_new(p, saved[i], shapes->saved_bytes);
        if (p->value_at[i].place != WEIR_PLACE_NONE)
            continue;
        if (weir_plan_node(p, v)->op->flags & WEIR_OP_LOSS)
            p->value_at[i] = (struct weir_where){WEIR_PLACE_DATA, p->c->program->ranks[p->stage->rank].loss_offset, 8};
        else if (v == p->output && values[i] == KEEP_NOT)
            p->value_at[i] = (struct weir_where){WEIR_PLACE_SLOT_NEXT, 0, 0};
        else
            p->value_at[i] = kept_new(p, values[i], weir_shape_bytes(&shapes->output));
    }
}

void weir_plan_forward(struct weir_plan *p)
{
    struct weir_plan_list list = {0};
    forward_places(p);
    for (int n = p->first; n < p->end && !p->status; n++) {
        struct weir_step_call *call = weir_plan_node_call(p, &list, n, WEIR_FORWARD, ~0u);
        if (weir_plan_node(p, n)->op->flags & WEIR_OP_LOSS) {
            call->d_inputs[0] = p->input_grad_loss;
            call->call.loss_scale =
                1.0 / ((double)p->c->graph->n_targets * p->c->schedule->n_microbatches * p->c->n_replicas);
        }
    }
    struct weir_where next = {WEIR_PLACE_SLOT_NEXT, 0, 0};
    if (!p->status && p->output >= 0 && p->value_at[p->output - p->first].place != WEIR_PLACE_SLOT_NEXT)
        weir_plan_copy(p, &list, next, p->value_at[p->output - p->first], p->stage[1].slot_bytes);
    weir_plan_resolve(p, &list, WEIR_LIST_F);
}
