/* Backward templates: gradients flow from the last node to the first; I and W are the same calls taken apart. */
#include "engine/program/template.h"

#include <string.h>

static struct weir_where *grad_of(struct weir_plan *p, int value)
{
    return &p->grad_at[weir_plan_inside(p, value) ? value - p->first : p->end - p->first];
}

/* Two gradients that arrive without a call are added by one of the sum's own. */
static void sum_add(struct weir_plan *p, struct weir_plan_list *list, int n, int value, struct weir_where a, struct weir_where b)
{
    struct weir_step_call *call = weir_plan_node_call(p, list, n, WEIR_FORWARD, 0);
    call->pass = WEIR_BACKWARD_INPUT;
    call->call.n_inputs = 2;
    call->call.inputs[1] = call->call.inputs[0];
    call->inputs[0] = a;
    call->inputs[1] = b;
    call->output = weir_plan_buffer(p, weir_shape_bytes(weir_graph_shape(p->c->graph, value)));
    *grad_of(p, value) = call->output;
}

static void sum_backward(struct weir_plan *p, struct weir_plan_list *list, int n, struct weir_where d_output)
{
    for (int i = 0; i < weir_plan_node(p, n)->shapes.n_inputs; i++) {
        int value = weir_plan_node(p, n)->inputs[i];
        if (!weir_plan_wants_grad(p, value))
            continue;
        struct weir_where sum = *grad_of(p, value);
        if (sum.place == WEIR_PLACE_NONE)
            *grad_of(p, value) = d_output;
        else
            sum_add(p, list, n, value, sum, d_output);
    }
}

static void input_backward(struct weir_plan *p, struct weir_plan_list *list, int n, struct weir_where d_output)
{
    const struct weir_node *node = weir_plan_node(p, n);
    bool whole = node->op->flags & WEIR_OP_NO_SPLIT;
    unsigned needs = node->op->input_needs | (whole ? node->op->weight_needs : 0);
    struct weir_step_call *call = weir_plan_node_call(p, list, n, WEIR_BACKWARD_INPUT, needs);
    call->d_output = d_output;
    if (whole)
        weir_plan_weight_grads(p, call);
    for (int i = 0; i < node->shapes.n_inputs; i++) {
        int value = node->inputs[i];
        if (!weir_plan_wants_grad(p, value))
            continue;
        struct weir_where *sum = grad_of(p, value);
        call->addends[i] = *sum;
        call->d_inputs[i] = *sum = weir_plan_buffer(p, weir_shape_bytes(weir_graph_shape(p->c->graph, value)));
    }
}

static void node_backward(struct weir_plan *p, struct weir_plan_list *list, int n)
{
    const struct weir_node *node = weir_plan_node(p, n);
    if (node->op->flags & WEIR_OP_LOSS) {
        *grad_of(p, node->inputs[0]) = p->input_grad_loss;
        return;
    }
    struct weir_where d_output = p->grad_at[n - p->first];
    if (!p->c->wants_grad[n])
        return;
    if (node->op->flags & WEIR_OP_SUM) {
        sum_backward(p, list, n, d_output);
        return;
    }
    if (weir_node_has_input_backward(p->c->graph, p->c->wants_grad, n))
        input_backward(p, list, n, d_output);
    if (weir_node_has_weight_backward(p->c->graph, n)) {
        struct weir_step_call *call = weir_plan_node_call(p, list, n, WEIR_BACKWARD_WEIGHT, node->op->weight_needs);
        call->d_output = d_output;
        weir_plan_weight_grads(p, call);
    }
}

/* Run the forward of a layer again, as far as its backward reads what F did not keep.  Values go to new buffers: the loss
 * may have left a gradient where F had one. */
static void layer_replay(struct weir_plan *p, struct weir_plan_list *list, const struct weir_layer *layer)
{
    for (int n = layer->first_node; n < layer->first_node + layer->n_nodes; n++) {
        const struct weir_op_shapes *shapes = &weir_plan_node(p, n)->shapes;
        int at = n - p->first;
        if (!p->keeps.replayed[at])
            continue;
        p->saved_at[at] = weir_plan_buffer(p, shapes->saved_bytes);
        if (p->keeps.values[at] == WEIR_KEEP_NOT)
            p->value_at[at] = weir_plan_buffer(p, weir_shape_bytes(&shapes->output));
        weir_plan_node_call(p, list, n, WEIR_FORWARD, ~0u);
    }
}

static bool where_same(struct weir_where a, struct weir_where b)
{
    return a.place == b.place && a.offset == b.offset;
}

static bool is_read(struct weir_plan_list *list, struct weir_where where)
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
static void input_grad_place(struct weir_plan *p, struct weir_plan_list *list)
{
    if (p->status || p->input < 0 || !p->c->wants_grad[p->input])
        return;
    struct weir_where grad = *grad_of(p, p->input), slot = {WEIR_PLACE_GRAD_SLOT_PREV, 0, 0};
    if (grad.place == WEIR_PLACE_SCRATCH && !is_read(list, grad))
        p->buffers[grad.offset].place = WEIR_PLACE_GRAD_SLOT_PREV;
    else
        weir_plan_copy(p, list, slot, grad, p->stage->slot_bytes);
}

void weir_plan_backward(struct weir_plan *p, struct weir_plan_list *list)
{
    p->n_buffers = 0; /* the forward's are resolved; kept places do not refer to them */
    memset(p->grad_at, 0, sizeof *p->grad_at * (size_t)(p->end - p->first + 1));
    if (p->output >= 0)
        *grad_of(p, p->output) = (struct weir_where){WEIR_PLACE_GRAD_SLOT, 0, 0};
    for (int n = p->end - 1; n >= p->first && !p->status; n--) {
        int l = weir_plan_node(p, n)->layer;
        const struct weir_layer *layer = &p->c->graph->layers[l];
        if (weir_plan_recomputes(p, l) && n == layer->first_node + layer->n_nodes - 1)
            layer_replay(p, list, layer);
        node_backward(p, list, n);
    }
    input_grad_place(p, list);
}

/* What I leaves for W. */
static void buffer_keep(struct weir_plan *p, struct weir_where where)
{
    if (p->status || where.place != WEIR_PLACE_SCRATCH)
        return;
    struct weir_plan_buffer *b = &p->buffers[where.offset];
    if (b->place != WEIR_PLACE_SCRATCH)
        return;
    b->place = WEIR_PLACE_ACT_IW;
    b->offset = p->stage->act_bytes[2];
    p->stage->act_bytes[2] += weir_pack_round(b->bytes);
}

/* W runs later: what it reads of gradients and replayed values is kept, and the slot's content is copied, since I frees
 * the slot. */
static void weight_inputs_keep(struct weir_plan *p, struct weir_plan_list *i_list, struct weir_plan_list *w_list)
{
    struct weir_where slot_copy = {WEIR_PLACE_NONE, 0, 0};
    for (int k = 0; k < w_list->n && !p->status; k++) {
        struct weir_step_call *call = &w_list->calls[k];
        if (call->d_output.place == WEIR_PLACE_GRAD_SLOT) {
            if (slot_copy.place == WEIR_PLACE_NONE) {
                slot_copy = weir_plan_buffer(p, p->stage[1].slot_bytes);
                weir_plan_copy(p, i_list, slot_copy, call->d_output, p->stage[1].slot_bytes);
            }
            call->d_output = slot_copy;
        }
        buffer_keep(p, call->d_output);
        for (int i = 0; i < call->call.n_inputs; i++)
            buffer_keep(p, call->inputs[i]);
        buffer_keep(p, call->output);
        buffer_keep(p, call->saved);
    }
}

void weir_plan_split(struct weir_plan *p)
{
    struct weir_plan_list all = {0}, i_list = {0}, w_list = {0};
    weir_plan_backward(p, &all);
    for (int k = 0; k < all.n && !p->status; k++) {
        bool weight = all.calls[k].fn && all.calls[k].pass == WEIR_BACKWARD_WEIGHT;
        struct weir_step_call *call = weir_plan_call(p, weight ? &w_list : &i_list);
        *call = all.calls[k];
    }
    weight_inputs_keep(p, &i_list, &w_list);
    weir_plan_resolve(p, &i_list, WEIR_LIST_I);
    weir_plan_resolve(p, &w_list, WEIR_LIST_W);
}
