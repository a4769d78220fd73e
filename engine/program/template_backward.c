/* Backward templates: gradients flow from the last node to the first; I and W are the same calls taken apart. */
#include "engine/program/template.h"

#include <string.h>

static struct weir_where *grad_of(struct weir_template *t, int value)
{
    bool inside = weir_template_inside(t, value);
    return &t->grad_at[inside ? value - t->first : t->end - t->first + (int)(weir_template_in(t, value) - t->ins)];
}

static void sum_backward(struct weir_template *t, struct weir_template_list *list, int n)
{
    struct weir_where d_output = t->grad_at[n - t->first];
    for (int i = 0; i < weir_template_node(t, n)->shapes.n_inputs; i++) {
        int value = weir_template_node(t, n)->inputs[i];
        if (!weir_template_wants_grad(t, value))
            continue;
        struct weir_where *sum = grad_of(t, value);
        *sum = sum->place == WEIR_PLACE_NONE ? d_output : weir_template_sum(t, list, n, value, *sum, d_output);
    }
}

/* Those of outputs that nobody reads have no place: they are zero. */
static void d_outputs_set(const struct weir_template *t, int n, struct weir_step_call *call)
{
    for (int i = 0; i < call->call.n_outputs; i++)
        call->d_outputs[i] = t->grad_at[n + i - t->first];
}

/* An earlier input of the node is the same value. */
static bool is_again(const struct weir_node *node, int i)
{
    bool again = false;
    for (int k = 0; k < i; k++)
        again = again || node->inputs[k] == node->inputs[i];
    return again;
}

/* The gradient of a value's first use is added to the sum by the kernel.  Of further uses in the same node it is added afterwards,
 * input by input: kernels write their gradients in any order, so none may be the addend of another. */
static void input_backward(struct weir_template *t, struct weir_template_list *list, int n)
{
    const struct weir_node *node = weir_template_node(t, n);
    bool whole = node->op->flags & WEIR_OP_NO_SPLIT;
    unsigned needs = node->op->input_needs | (whole ? node->op->weight_needs : 0);
    struct weir_step_call *call = weir_template_node_call(t, list, n, WEIR_BACKWARD_INPUT, needs);
    d_outputs_set(t, n, call);
    if (whole)
        weir_template_weight_grads(t, call);
    struct weir_where own[WEIR_OP_INPUTS] = {{.place = WEIR_PLACE_NONE}};
    for (int i = 0; i < node->shapes.n_inputs; i++) {
        int value = node->inputs[i];
        if (!weir_template_wants_grad(t, value))
            continue;
        struct weir_where *sum = grad_of(t, value);
        call->d_inputs[i] = own[i] = weir_template_buffer(t, weir_shape_bytes(weir_graph_shape(t->graph, value)));
        if (is_again(node, i))
            continue;
        call->addends[i] = *sum;
        *sum = own[i];
    }
    for (int i = 1; i < node->shapes.n_inputs; i++) { /* `call` may have moved by now */
        int value = node->inputs[i];
        if (weir_template_wants_grad(t, value) && is_again(node, i))
            *grad_of(t, value) = weir_template_sum(t, list, n, value, *grad_of(t, value), own[i]);
    }
}

static void node_backward(struct weir_template *t, struct weir_template_list *list, int n)
{
    const struct weir_node *node = weir_template_node(t, n);
    if (node->op->flags & WEIR_OP_LOSS) {
        *grad_of(t, node->inputs[0]) = t->input_grad_loss;
        return;
    }
    if (node->part || !t->c->wants_grad[n])
        return;
    if (node->op->flags & WEIR_OP_SUM) {
        sum_backward(t, list, n);
        return;
    }
    if (weir_node_has_input_backward(t->graph, t->c->wants_grad, n))
        input_backward(t, list, n);
    if (weir_node_has_weight_backward(t->graph, n)) {
        struct weir_step_call *call = weir_template_node_call(t, list, n, WEIR_BACKWARD_WEIGHT, node->op->weight_needs);
        d_outputs_set(t, n, call);
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
        for (int i = 0; i < shapes->n_outputs; i++)
            if (t->keeps.values[at + i] == WEIR_KEEP_NOT)
                t->value_at[at + i] = weir_template_buffer(t, weir_shape_bytes(&shapes->outputs[i]));
        weir_template_node_call(t, list, n, WEIR_FORWARD, ~0u);
    }
}

static bool is_read(struct weir_template_list *list, const struct weir_where *where)
{
    for (int i = 0; i < list->n; i++) {
        const struct weir_step_call *call = &list->calls[i];
        for (int k = 0; k < call->call.n_outputs; k++)
            if (weir_where_same(&call->d_outputs[k], where))
                return true;
        for (int k = 0; k < WEIR_OP_INPUTS; k++)
            if (weir_where_same(&call->addends[k], where) || weir_where_same(&call->inputs[k], where))
                return true;
    }
    return false;
}

/* Its last call may write the gradient of input i into the slot itself: nothing else reads it. */
static bool is_grad_alone(const struct weir_template *t, struct weir_template_list *list, int i)
{
    const struct weir_where *grads = &t->grad_at[t->end - t->first];
    bool alone = grads[i].place == WEIR_PLACE_SCRATCH && !is_read(list, &grads[i]);
    for (int k = 0; k < t->n_ins && alone; k++) /* a sum gives several the same */
        alone = k == i || !weir_where_same(&grads[k], &grads[i]);
    return alone;
}

/* The gradients of the stage's inputs must end up in slots of earlier stages. */
static void input_grads_place(struct weir_template *t, struct weir_template_list *list)
{
    for (int i = 0; i < t->n_ins && !t->status; i++) {
        const struct weir_template_crossing *in = &t->ins[i];
        struct weir_where grad = *grad_of(t, in->value);
        if (!t->c->wants_grad[in->value])
            continue;
        if (!is_grad_alone(t, list, i)) {
            weir_template_copy(t, list, in->gradient, grad, in->bytes);
            continue;
        }
        struct weir_template_buffer *buffer = &t->buffers[grad.offset];
        buffer->place = in->gradient.place;
        buffer->offset = in->gradient.offset;
        buffer->boundary = in->gradient.boundary;
    }
}

void weir_template_backward(struct weir_template *t, struct weir_template_list *list)
{
    weir_template_reserve(t, list, 2 * (t->end - t->first) + t->n_ins);
    t->n_buffers = 0; /* the forward's are resolved; kept places do not refer to them */
    memset(t->grad_at, 0, sizeof *t->grad_at * (size_t)(t->end - t->first + t->n_ins));
    for (int i = 0; i < t->n_outs; i++) /* what later stages have added up */
        *grad_of(t, t->outs[i].value) = t->outs[i].gradient;
    for (int n = t->end - 1; n >= t->first && !t->status; n--) {
        int l = weir_template_node(t, n)->layer;
        const struct weir_layer *layer = &t->graph->layers[l];
        if (weir_template_recomputes(t, l) && n == layer->first_node + layer->n_nodes - 1)
            layer_replay(t, list, layer);
        node_backward(t, list, n);
    }
    input_grads_place(t, list);
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

/* A gradient in a slot of the stage, copied by I, since that frees the slot; the first time it is asked for. */
static struct weir_where slot_copied(struct weir_template *t, struct weir_template_list *i_list,
                                     struct weir_template_crossing *out)
{
    if (out->copy.place == WEIR_PLACE_NONE) {
        out->copy = weir_template_buffer(t, out->bytes);
        weir_template_copy(t, i_list, out->copy, out->gradient, out->bytes);
    }
    return out->copy;
}

/* A gradient that W reads. */
static void weight_gradient_keep(struct weir_template *t, struct weir_template_list *i_list, struct weir_where *d_output)
{
    for (int i = 0; i < t->n_outs && d_output->place == WEIR_PLACE_GRAD_SLOT; i++)
        if (weir_where_same(d_output, &t->outs[i].gradient))
            *d_output = slot_copied(t, i_list, &t->outs[i]);
    buffer_keep(t, *d_output);
}

/* W runs later: what it reads of gradients and replayed values is kept. */
static void weight_inputs_keep(struct weir_template *t, struct weir_template_list *i_list,
                               struct weir_template_list *w_list)
{
    for (int k = 0; k < w_list->n && !t->status; k++) {
        struct weir_step_call *call = &w_list->calls[k];
        for (int i = 0; i < call->call.n_outputs; i++) {
            weight_gradient_keep(t, i_list, &call->d_outputs[i]);
            buffer_keep(t, call->outputs[i]);
        }
        for (int i = 0; i < call->call.n_inputs; i++)
            buffer_keep(t, call->inputs[i]);
        buffer_keep(t, call->saved);
    }
}

void weir_template_split(struct weir_template *t)
{
    struct weir_template_list all = {0}, i_list = {0}, w_list = {0};
    weir_template_backward(t, &all);
    weir_template_reserve(t, &i_list, all.n + t->n_outs);
    weir_template_reserve(t, &w_list, t->end - t->first);
    for (int k = 0; k < all.n && !t->status; k++) {
        bool weight = all.calls[k].fn && all.calls[k].pass == WEIR_BACKWARD_WEIGHT;
        struct weir_step_call *call = weir_template_call(t, weight ? &w_list : &i_list);
        *call = all.calls[k];
    }
    weight_inputs_keep(t, &i_list, &w_list);
    weir_template_resolve(t, &i_list, WEIR_LIST_I);
    weir_template_resolve(t, &w_list, WEIR_LIST_W);
}
