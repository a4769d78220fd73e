/* Forward templates: where each value is kept, and one call per node, which writes the values of its parts too. */
#include "engine/program/template.h"

static struct weir_where kept_new(struct weir_template *t, enum weir_keep keep, size_t bytes)
{
    if (keep == WEIR_KEEP_NOT || !bytes)
        return weir_template_buffer(t, bytes);
    int part = keep == WEIR_KEEP_FOR_W ? 1 : 0;
    struct weir_where where = {part ? WEIR_PLACE_ACT_FW : WEIR_PLACE_ACT_FI, t->stage->act_bytes[part], 0, 0};
    t->stage->act_bytes[part] += weir_pack_round(bytes);
    return where;
}

static int consumers_count(const struct weir_template *t, int value)
{
    int count = 0;
    for (int n = t->first; n < t->end; n++)
        for (int i = 0; i < weir_template_node(t, n)->shapes.n_inputs; i++)
            count += weir_template_node(t, n)->inputs[i] == value;
    return count;
}

/* The loss leaves the gradient of its prediction behind; when nobody else reads the prediction, in the same memory. */
static void loss_place(struct weir_template *t)
{
    int loss = t->end - 1;
    if (t->end < t->c->graph->n_nodes || t->c->forward_only)
        return;
    int prediction = weir_template_node(t, loss)->inputs[0];
    size_t bytes = weir_shape_bytes(weir_graph_shape(t->graph, prediction));
    if (!weir_template_inside(t, prediction)) { /* the stage is the loss alone: the gradient waits for its I */
        t->input_grad_loss = kept_new(t, WEIR_KEEP_FOR_I, bytes);
        return;
    }
    /* a sum hands the gradient on, so that the W of whoever made its terms may read it */
    bool for_w = weir_node_has_weight_backward(t->graph, prediction) ||
                 weir_template_node(t, prediction)->op->flags & WEIR_OP_SUM;
    t->input_grad_loss = kept_new(t, for_w ? WEIR_KEEP_FOR_W : WEIR_KEEP_FOR_I, bytes);
    if (t->keeps.values[prediction - t->first] == WEIR_KEEP_NOT && consumers_count(t, prediction) == 1)
        t->value_at[prediction - t->first] = t->input_grad_loss;
}

/* The value goes on, and nothing in this stage reads it: its kernel writes it where it is wanted. */
static bool is_made_in_slot(const struct weir_template *t, int value)
{
    return weir_template_out(t, value) && t->keeps.values[value - t->first] == WEIR_KEEP_NOT && !consumers_count(t, value);
}

static void forward_places(struct weir_template *t)
{
    loss_place(t);
    for (int v = t->first; v < t->end; v++) {
        int i = v - t->first;
        const struct weir_op_shapes *shapes = &weir_template_node(t, v)->shapes;
        t->saved_at[i] = kept_new(t, t->keeps.saved[i], shapes->saved_bytes);
        if (t->value_at[i].place != WEIR_PLACE_NONE)
            continue;
        if (v == t->graph->n_nodes - 1) /* the loss, or the result */
            t->value_at[i] = (struct weir_where){
                WEIR_PLACE_DATA,
                t->c->program->ranks[t->stage->rank].loss_offset + (size_t)t->slice * t->c->program->result_stride,
                (size_t)t->c->program->n_slices * t->c->program->result_stride, 0};
        else if (is_made_in_slot(t, v))
            t->value_at[i] = weir_template_out(t, v)->slot;
        else
            t->value_at[i] = kept_new(t, t->keeps.values[i], weir_shape_bytes(&shapes->output));
    }
}

void weir_template_forward(struct weir_template *t)
{
    struct weir_template_list list = {0};
    weir_template_reserve(t, &list, t->end - t->first + t->n_outs);
    forward_places(t);
    for (int n = t->first; n < t->end && !t->status; n += weir_template_node(t, n)->shapes.n_outputs) {
        struct weir_step_call *call = weir_template_node_call(t, &list, n, WEIR_FORWARD, ~0u);
        if (weir_template_node(t, n)->op->flags & WEIR_OP_LOSS) {
            call->d_inputs[0] = t->input_grad_loss;
            call->call.loss_scale =
                1.0 / ((double)t->c->graph->n_targets * weir_program_whole_microbatches(t->c->program) * t->c->n_replicas);
        }
    }
    for (int i = 0; i < t->n_outs && !t->status; i++) {
        struct weir_where at = weir_template_value(t, t->outs[i].value);
        if (!weir_where_same(&at, &t->outs[i].slot))
            weir_template_copy(t, &list, t->outs[i].slot, at, t->outs[i].bytes);
    }
    weir_template_resolve(t, &list, WEIR_LIST_F);
}
