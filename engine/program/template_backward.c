/* Backward templates: gradients flow from the last node to the first; I and W are the same calls taken apart. */
#include "engine/program/template.h"

#include <string.h>

static struct weir_where *grad_of(struct weir_template *t, int value)
{
    return &t->grad_at[weir_template_inside(t, value) ? value - t->first : t->end - t->first];
}

/* Two gradients that arrive without a call are added by one of the sum's own. */
static void sum_add(struct weir_template *t, struct weir_template_list *list, int n, int value, struct weir_where a,
                    struct weir_where b)
{
    struct weir_step_call *call = weir_template_node_call(t, list, n, WEIR_FORWARD, 0);
    call->pass = WEIR_BACKWARD_INPUT;
    call->call.n_inputs = 2;
    call->call.inputs[1] = call->call.inputs[0];
    call->inputs[0] = a;
    call->inputs[1] = b;
    call->output = weir_template_buffer(t, weir_shape_bytes(weir_graph_shape(t->graph, value)));
    *grad_of(t, value) = call->output;
}

static void sum_backward(struct weir_template *t, struct weir_template_list *list, int n, struct weir_where d_output)
{
    for (int i = 0; i < weir_template_node(t, n)->shapes.n_inputs; i++) {
        int value = weir_template_node(t, n)->inputs[i];
        if (!weir_template_wants_grad(t, value))
            continue;
        struct weir_where sum = *grad_of(t, value);
        if (sum.place == WEIR_PLACE_NONE)
            *grad_of(t, value) = d_output;
        else
            sum_add(t, list, n, value, sum, d_output);
    }
}

static void input_backward(struct weir_template *t, struct weir_template_list *list, int n, struct weir_where d_output)
{
    const struct weir_node *node = weir_template_node(t, n);
    bool whole = node->op->flags & WEIR_OP_NO_SPLIT;
    unsigned needs = node->op->input_needs | (whole ? node->op->weight_needs : 0);
    struct weir_step_call *call = weir_template_node_call(t, list, n, WEIR_BACKWARD_INPUT, needs);
    call->d_output = d_output;
    if (whole)
        weir_template_weight_grads(t, call);
    for (int i = 0; i < node->shapes.n_inputs; i++) {
        int value = node->inputs[i];
        if (!weir_template_wants_grad(t, value))
            continue;
        struct weir_where *sum = grad_of(t, value);
        call->addends[i] = *sum;
        call->d_inputs[i] = *sum = weir_template_buffer(t, weir_shape_bytes(weir_graph_shape(t->graph, value)));
    }
}

static void node_backward(struct weir_template *t, struct weir_template_list *list, int n)
{
    const struct weir_node *node = weir_template_node(t, n);
    if (node->op->flags & WEIR_OP_LOSS) {
        *grad_of(t, node->inputs[0]) = t->input_grad_loss;
        return;
    }
    struct weir_where d_output = t->grad_at[n - t->first];
    if (!t->c->wants_grad[n])
        return;
    if (node->op->flags & WEIR_OP_SUM) {
        sum_backward(t, list, n, d_output);
        return;
    }
    if (weir_node_has_input_backward(t->graph, t->c->wants_grad, n))
        input_backward(t, list, n, d_output);
    if (weir_node_has_weight_backward(t->graph, n)) {
        struct weir_step_call *call = weir_template_node_call(t, list, n, WEIR_BACKWARD_WEIGHT, node->op->weight_needs);
        call->d_output = d_output;
        weir_template_weight_grads(t, call);
    }
}

/* Run the forward of a layer again, as far as its backward reads what F did not keep.  Values go to new buffers: the loss
 * may have left a gradient where F had one. */
static void layer_replay(struct weir_template *t, struct weir_template_list *list, const struct weir_layer *layer)
{
    for (int n = layer->first_node; n < layer->first_node + layer->n_nodes; n++) {
        const struct weir_op_shapes *shapes = &weir_template_node(t, n)->shapes;
        int at = n - t->first;
        if (!t->keeps.replayed[at])
            continue;
        t->saved_at[at] = weir_template_buffer(t, shapes->saved_bytes);
        if (t->keeps.values[at] == WEIR_KEEP_NOT)
            t->value_at[at] = weir_template_buffer(t, weir_shape_bytes(&shapes->output));
        weir_template_node_call(t, list, n, WEIR_FORWARD, ~0u);
    }
}

static bool where_same(struct weir_where a, struct weir_where b)
{
    return a.place == b.place && a.offset == b.offset;
}

static bool is_read(struct weir_template_list *list, struct weir_where where)
{
    for (int i = 0; i < list->n; i++) {
        const struct weir_step_call *call = &list->calls[i];
        if (where_same(call->d_output, where))
            return true;
        for (int k = 0; k < WEIR_OP_INPUTS; k++)
            if (where_same(call->addends[k], where) || where_same(call->inputs[k], where))
                return true;
    }
    return false;
}

/* The gradient of the stage's input must end up in the previous stage's slot. */
static void input_grad_place(struct weir_template *t, struct weir_template_list *list)
{
    if (t->status || t->input < 0 || !t->c->wants_grad[t->input])
        return;
    struct weir_where grad = *grad_of(t, t->input), slot = {WEIR_PLACE_GRAD_SLOT_PREV, 0, 0};
    if (grad.place == WEIR_PLACE_SCRATCH && !is_read(list, grad))
        t->buffers[grad.offset].place = WEIR_PLACE_GRAD_SLOT_PREV;
    else
        weir_template_copy(t, list, slot, grad, weir_template_value_bytes(t, t->input));
}

void weir_template_backward(struct weir_template *t, struct weir_template_list *list)
{
    t->n_buffers = 0; /* the forward's are resolved; kept places do not refer to them */
    memset(t->grad_at, 0, sizeof *t->grad_at * (size_t)(t->end - t->first + 1));
    if (t->output >= 0)
        *grad_of(t, t->output) = (struct weir_where){WEIR_PLACE_GRAD_SLOT, 0, 0};
    for (int n = t->end - 1; n >= t->first && !t->status; n--) {
        int l = weir_template_node(t, n)->layer;
        const struct weir_layer *layer = &t->graph->layers[l];
        if (weir_template_recomputes(t, l) && n == layer->first_node + layer->n_nodes - 1)
            layer_replay(t, list, layer);
        node_backward(t, list, n);
    }
    input_grad_place(t, list);
}

/* What I leaves for W. */
static void buffer_keep(struct weir_template *t, struct weir_where where)
{
    if (t->status || where.place != WEIR_PLACE_SCRATCH)
        return;
    struct weir_template_buffer *b = &t->buffers[where.offset];
    if (b->place != WEIR_PLACE_SCRATCH)
        return;
    b->place = WEIR_PLACE_ACT_IW;
    b->offset = t->stage->act_bytes[2];
    t->stage->act_bytes[2] += weir_pack_round(b->bytes);
}

/* W runs later: what it reads of gradients and replayed values is kept, and the slot's content is copied, since I frees
 * the slot. */
static void weight_inputs_keep(struct weir_template *t, struct weir_template_list *i_list,
                               struct weir_template_list *w_list)
{
    struct weir_where slot_copy = {WEIR_PLACE_NONE, 0, 0};
    for (int k = 0; k < w_list->n && !t->status; k++) {
        struct weir_step_call *call = &w_list->calls[k];
        if (call->d_output.place == WEIR_PLACE_GRAD_SLOT) {
            if (slot_copy.place == WEIR_PLACE_NONE) {
                slot_copy = weir_template_buffer(t, weir_template_value_bytes(t, t->output));
                weir_template_copy(t, i_list, slot_copy, call->d_output, weir_template_value_bytes(t, t->output));
            }
            call->d_output = slot_copy;
        }
        buffer_keep(t, call->d_output);
        for (int i = 0; i < call->call.n_inputs; i++)
            buffer_keep(t, call->inputs[i]);
        buffer_keep(t, call->output);
        buffer_keep(t, call->saved);
    }
}

void weir_template_split(struct weir_template *t)
{
    struct weir_template_list all = {0}, i_list = {0}, w_list = {0};
    weir_template_backward(t, &all);
    for (int k = 0; k < all.n && !t->status; k++) {
        bool weight = all.calls[k].fn && all.calls[k].pass == WEIR_BACKWARD_WEIGHT;
        struct weir_step_call *call = weir_template_call(t, weight ? &w_list : &i_list);
        *call = all.calls[k];
    }
    weight_inputs_keep(t, &i_list, &w_list);
    weir_template_resolve(t, &i_list, WEIR_LIST_I);
    weir_template_resolve(t, &w_list, WEIR_LIST_W);
}
