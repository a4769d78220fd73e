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
    if (weir_plan_has_input_backward(p, n))
        input_backward(p, list, n, d_output);
    if (weir_plan_has_weight_backward(p, n)) {
        struct weir_step_call *call = weir_plan_node_call(p, list, n, WEIR_BACKWARD_WEIGHT, node->op->weight_needs);
        call->d_output = d_output;
        weir_plan_weight_grads(p, call);
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
    for (int n = p->end - 1; n >= p->first && !p->status; n--)
        node_backward(p, list, n);
    input_grad_place(p, list);
}

/* W runs later: what it reads of the gradients is kept, and the slot's content is copied, since I frees the slot. */
static void weight_inputs_keep(struct weir_plan *p, struct weir_plan_list *i_list, struct weir_plan_list *w_list)
{
    struct weir_where slot_copy = {WEIR_PLACE_NONE, 0, 0};
    for (int k = 0; k < w_list->n && !p->status; k++) {
        struct weir_where *d_output = &w_list->calls[k].d_output;
        if (d_output->place == WEIR_PLACE_GRAD_SLOT) {
            if (slot_copy.place == WEIR_PLACE_NONE) {
                slot_copy = weir_plan_buffer(p, p->stage[1].slot_bytes);
                weir_plan_copy(p, i_list, slot_copy, *d_output, p->stage[1].slot_bytes);
            }
            *d_output = slot_copy;
        }
        if (p->status || d_output->place != WEIR_PLACE_SCRATCH)
            continue;
        struct weir_plan_buffer *b = &p->buffers[d_output->offset];
        if (b->place == WEIR_PLACE_SCRATCH) {
            b->place = WEIR_PLACE_ACT_IW;
            b->offset = p->stage->act_bytes[2];
            p->stage->act_bytes[2] += weir_pack_round(b->bytes);
        }
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
