/* Forward templates: where each value is kept, and one call per node. */
#include "engine/program/template.h"

static struct weir_where kept_new(struct weir_plan *p, enum weir_keep keep, size_t bytes)
{
    if (keep == WEIR_KEEP_NOT || !bytes)
        return weir_plan_buffer(p, bytes);
    int part = keep == WEIR_KEEP_FOR_W ? 1 : 0;
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
static void loss_place(struct weir_plan *p)
{
    int loss = p->end - 1;
    if (p->output >= 0 || p->c->forward_only)
        return;
    int prediction = weir_plan_node(p, loss)->inputs[0];
    size_t bytes = weir_shape_bytes(weir_graph_shape(p->c->graph, prediction));
    if (!weir_plan_inside(p, prediction)) { /* the stage is the loss alone: the gradient waits for its I */
        p->input_grad_loss = kept_new(p, WEIR_KEEP_FOR_I, bytes);
        return;
    }
    /* a sum hands the gradient on, so that the W of whoever made its terms may read it */
    bool for_w = weir_node_has_weight_backward(p->c->graph, prediction) || (weir_plan_node(p, prediction)->op->flags & WEIR_OP_SUM);
    p->input_grad_loss = kept_new(p, for_w ? WEIR_KEEP_FOR_W : WEIR_KEEP_FOR_I, bytes);
    if (p->keeps.values[prediction - p->first] == WEIR_KEEP_NOT && consumers_count(p, prediction) == 1)
        p->value_at[prediction - p->first] = p->input_grad_loss;
}

static void forward_places(struct weir_plan *p)
{
    loss_place(p);
    for (int v = p->first; v < p->end; v++) {
        int i = v - p->first;
        const struct weir_op_shapes *shapes = &weir_plan_node(p, v)->shapes;
        p->saved_at[i] = kept_new(p, p->keeps.saved[i], shapes->saved_bytes);
        if (p->value_at[i].place != WEIR_PLACE_NONE)
            continue;
        if (v == p->c->graph->n_nodes - 1) /* the loss, or the result */
            p->value_at[i] = (struct weir_where){WEIR_PLACE_DATA, p->c->program->ranks[p->stage->rank].loss_offset,
                                                 p->c->program->result_stride};
        else if (v == p->output && p->keeps.values[i] == WEIR_KEEP_NOT)
            p->value_at[i] = (struct weir_where){WEIR_PLACE_SLOT_NEXT, 0, 0};
        else
            p->value_at[i] = kept_new(p, p->keeps.values[i], weir_shape_bytes(&shapes->output));
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
