/* Templates: the kernel calls of one stage, for any micro-batch.
 *
 * Forward: one call per node.  A value that a backward will need is kept in the micro-batch's activation block (ACT_FI
 * or ACT_FW), the value that crosses to the next stage is written straight into that stage's slot, all others are
 * scratch.
 *
 * Backward: nodes in descending order.  The gradient of a value is the sum over its consumers; the first consumer writes
 * it, each further one adds to it (`addend`).  Sums (residual connections) hand their gradient on without a call.  One
 * pass makes the list of full backwards (B); the lists of I and W are the same calls taken apart, and the gradients that
 * W reads then move from scratch to ACT_IW. */
#include <string.h>

#include "engine/program/compile.h"
#include "engine/program/pack.h"

struct buffer {
    size_t bytes;
    enum weir_place place; /* SCRATCH until decided otherwise */
    size_t offset;
    int first, last; /* calls of the list being resolved */
};

struct list {
    struct weir_step_call *calls;
    int n, room;
};

struct plan {
    struct weir_compile *c;
    struct weir_stage_program *stage;
    int first, end; /* nodes */
    int input;      /* value that comes from the previous stage, or -1 */
    int output;     /* value that goes to the next stage, or -1 */
    struct weir_where *value_at; /* [end - first] */
    struct weir_where *saved_at; /* [end - first] */
    struct weir_where input_grad_loss; /* where the loss leaves the gradient of its prediction */
    struct weir_where *grad_at;  /* [end - first + 1]: sum so far; the last entry is the stage's input */
    struct buffer *buffers;
    int n_buffers, buffer_room;
    struct weir_step_call spare; /* what is written after a failure */
    weir_status status;          /* first failure */
};

/* ---- small helpers ------------------------------------------------------------------------------------------------- */

static const struct weir_node *node_of(const struct plan *p, int n)
{
    return &p->c->graph->nodes[n];
}

static bool is_inside(const struct plan *p, int value)
{
    return value >= p->first && value < p->end;
}

static bool value_wants_grad(const struct plan *p, int value)
{
    return !weir_value_is_input(value) && p->c->wants_grad[value];
}

static bool has_input_backward(const struct plan *p, int n)
{
    const struct weir_node *node = node_of(p, n);
    if (node->op->flags & (WEIR_OP_LOSS | WEIR_OP_SUM))
        return false;
    if ((node->op->flags & WEIR_OP_NO_SPLIT) && node->shapes.n_params)
        return true;
    for (int i = 0; i < node->shapes.n_inputs; i++)
        if (value_wants_grad(p, node->inputs[i]))
            return true;
    return false;
}

static bool has_weight_backward(const struct plan *p, int n)
{
    const struct weir_node *node = node_of(p, n);
    return node->shapes.n_params && !(node->op->flags & WEIR_OP_NO_SPLIT);
}

/* A new buffer of scratch; its where carries the buffer's number until the list is resolved. */
static struct weir_where buffer_new(struct plan *p, size_t bytes)
{
    struct weir_where none = {WEIR_PLACE_NONE, 0, 0};
    if (p->status || !bytes)
        return none;
    if (p->n_buffers == p->buffer_room) {
        int room = p->buffer_room ? p->buffer_room * 2 : 256;
        struct buffer *grown;
        p->status = weir_arena_alloc(p->c->arena, (size_t)room, sizeof *grown, &grown);
        if (p->status)
            return none;
        if (p->n_buffers)
            memcpy(grown, p->buffers, sizeof *grown * (size_t)p->n_buffers);
        p->buffers = grown;
        p->buffer_room = room;
    }
    p->buffers[p->n_buffers] = (struct buffer){bytes, WEIR_PLACE_SCRATCH, 0, 0, 0};
    return (struct weir_where){WEIR_PLACE_SCRATCH, (size_t)p->n_buffers++, 0};
}

static struct weir_step_call *call_new(struct plan *p, struct list *list)
{
    if (!p->status && list->n == list->room) {
        int room = list->room ? list->room * 2 : 64;
        struct weir_step_call *grown;
        p->status = weir_arena_alloc(p->c->arena, (size_t)room, sizeof *grown, &grown);
        if (!p->status) {
            if (list->n)
                memcpy(grown, list->calls, sizeof *grown * (size_t)list->n);
            list->calls = grown;
            list->room = room;
        }
    }
    struct weir_step_call *call = p->status ? &p->spare : &list->calls[list->n++];
    memset(call, 0, sizeof *call);
    call->node = -1;
    return call;
}

static void copy_add(struct plan *p, struct list *list, struct weir_where to, struct weir_where from, size_t bytes)
{
    struct weir_step_call *call = call_new(p, list);
    call->copy_bytes = bytes;
    call->inputs[0] = from;
    call->output = to;
}

/* Where a value lies when a call of this stage reads it. */
static struct weir_where value_where(const struct plan *p, int value)
{
    if (weir_value_is_input(value)) {
        int input = weir_value_input(value);
        size_t stride = weir_pack_round(weir_shape_bytes(&p->c->graph->inputs[input].shape));
        return (struct weir_where){WEIR_PLACE_DATA, p->c->program->ranks[p->stage->rank].input_offsets[input], stride};
    }
    if (is_inside(p, value))
        return p->value_at[value - p->first];
    return (struct weir_where){WEIR_PLACE_SLOT, 0, 0};
}

/* A call of `pass` of node n: shapes, parameters, and what the pass reads. */
static struct weir_step_call *node_call(struct plan *p, struct list *list, int n, enum weir_pass pass, unsigned needs)
{
    const struct weir_node *node = node_of(p, n);
    const struct weir_op_kernels *k = &node->op->cpu;
    struct weir_op_shapes *shapes = &p->c->shapes[n];
    struct weir_step_call *call = call_new(p, list);
    call->fn = pass == WEIR_FORWARD ? k->forward : pass == WEIR_BACKWARD_INPUT ? k->backward_input : k->backward_weight;
    call->pass = pass;
    call->node = n;
    call->call.op = node->op;
    call->call.attr = &node->attr;
    call->call.node = (uint32_t)n;
    call->call.n_inputs = shapes->n_inputs;
    call->call.n_params = shapes->n_params;
    call->call.output = weir_tensor_view(NULL, &shapes->output);
    call->call.d_output = call->call.output;
    for (int i = 0; i < shapes->n_inputs; i++) {
        call->call.inputs[i] = weir_tensor_view(NULL, &shapes->inputs[i]);
        call->call.d_inputs[i] = call->call.inputs[i];
        if (needs & (1u << i))
            call->inputs[i] = value_where(p, node->inputs[i]);
    }
    for (int i = 0; i < shapes->n_params; i++) {
        const struct weir_rank_param *held = weir_compile_rank_param(p->c, p->stage->rank, node->params[i]);
        call->call.params[i] = weir_tensor_view(NULL, &shapes->params[i]);
        call->call.d_params[i] = call->call.params[i];
        call->params[i] = (struct weir_where){WEIR_PLACE_PARAM, held->offset, 0};
    }
    if (needs & WEIR_NEEDS_OUTPUT)
        call->output = p->value_at[n - p->first];
    if (needs & WEIR_NEEDS_SAVED)
        call->saved = p->saved_at[n - p->first];
    size_t scratch = k->scratch_bytes ? k->scratch_bytes(shapes, pass, p->c->params->n_threads) : 0;
    call->scratch = buffer_new(p, scratch);
    if (!call->fn && !p->status)
        p->status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "operation '%s' of node '%s' has no %s on this device",
                              node->op->name, node->name, pass == WEIR_FORWARD ? "forward" : "backward");
    return call;
}

static void weight_grads_set(struct plan *p, struct weir_step_call *call)
{
    for (int i = 0; i < call->call.n_params; i++) {
        const struct weir_param_use *use = weir_compile_use(p->c, call->node, i);
        call->d_params[i] = (struct weir_where){WEIR_PLACE_GRAD, use->grad_offset, 0};
    }
}

/* ---- resolving: scratch buffers get offsets ------------------------------------------------------------------------ */

enum { WHERES = 3 * WEIR_OP_INPUTS + 2 * WEIR_OP_PARAMS + 4 };

static void wheres_of(struct weir_step_call *call, struct weir_where *out[WHERES])
{
    int n = 0;
    for (int i = 0; i < WEIR_OP_INPUTS; i++) {
        out[n++] = &call->inputs[i];
        out[n++] = &call->d_inputs[i];
        out[n++] = &call->addends[i];
    }
    for (int i = 0; i < WEIR_OP_PARAMS; i++) {
        out[n++] = &call->params[i];
        out[n++] = &call->d_params[i];
    }
    out[n++] = &call->output;
    out[n++] = &call->d_output;
    out[n++] = &call->saved;
    out[n++] = &call->scratch;
}

static void lifetimes_find(struct plan *p, struct list *list)
{
    struct weir_where *wheres[WHERES];
    for (int b = 0; b < p->n_buffers; b++)
        p->buffers[b].first = -1;
    for (int i = 0; i < list->n; i++) {
        wheres_of(&list->calls[i], wheres);
        for (int k = 0; k < WHERES; k++) {
            if (wheres[k]->place != WEIR_PLACE_SCRATCH)
                continue;
            struct buffer *b = &p->buffers[wheres[k]->offset];
            if (b->first < 0)
                b->first = i;
            b->last = i;
        }
    }
}

static weir_status scratch_pack(struct plan *p)
{
    struct weir_pack_item *items;
    weir_status status = weir_arena_alloc(p->c->arena, (size_t)p->n_buffers, sizeof *items, &items);
    if (status)
        return status;
    for (int b = 0; b < p->n_buffers; b++) {
        const struct buffer *buffer = &p->buffers[b];
        bool scratch = buffer->place == WEIR_PLACE_SCRATCH && buffer->first >= 0;
        items[b] = (struct weir_pack_item){scratch ? buffer->bytes : 0, buffer->first, buffer->last, 0};
    }
    size_t bytes;
    status = weir_pack(items, p->n_buffers, p->c->arena, &bytes);
    if (status)
        return status;
    for (int b = 0; b < p->n_buffers; b++)
        if (p->buffers[b].place == WEIR_PLACE_SCRATCH)
            p->buffers[b].offset = items[b].offset;
    size_t *rank_bytes = &p->c->program->ranks[p->stage->rank].bytes[WEIR_MEMORY_SCRATCH];
    if (bytes > *rank_bytes)
        *rank_bytes = bytes;
    return WEIR_OK;
}

/* Give every buffer of the list its place and hand the list to the stage. */
static void list_resolve(struct plan *p, struct list *list, enum weir_list which)
{
    if (p->status)
        return;
    lifetimes_find(p, list);
    p->status = scratch_pack(p);
    if (p->status)
        return;
    struct weir_where *wheres[WHERES];
    int slot_call = list->n;
    for (int i = list->n - 1; i >= 0; i--) {
        wheres_of(&list->calls[i], wheres);
        for (int k = 0; k < WHERES; k++) {
            if (wheres[k]->place == WEIR_PLACE_SCRATCH) {
                const struct buffer *b = &p->buffers[wheres[k]->offset];
                *wheres[k] = (struct weir_where){b->place, b->offset, 0};
            }
            if (wheres[k]->place == WEIR_PLACE_SLOT_NEXT || wheres[k]->place == WEIR_PLACE_GRAD_SLOT_PREV)
                slot_call = i;
        }
    }
    p->stage->lists[which] = (struct weir_call_list){list->calls, list->n, slot_call};
}

/* ---- forward ------------------------------------------------------------------------------------------------------- */

enum keep { KEEP_NOT, KEEP_FOR_I, KEEP_FOR_W };

static void keep_raise(enum keep *keep, enum keep wanted)
{
    if (*keep < wanted)
        *keep = wanted;
}

/* How long each value and each saved tensor of the stage is needed. */
static void keeps_find(const struct plan *p, enum keep *values, enum keep *saved)
{
    for (int n = p->first; n < p->end && !p->c->forward_only; n++) {
        const struct weir_node *node = node_of(p, n);
        unsigned for_i = has_input_backward(p, n) ? node->op->input_needs : 0;
        unsigned for_w = has_weight_backward(p, n) ? node->op->weight_needs : 0;
        if ((node->op->flags & WEIR_OP_NO_SPLIT) && has_input_backward(p, n))
            for_i |= node->op->weight_needs;
        for (int i = 0; i < node->shapes.n_inputs; i++)
            if (is_inside(p, node->inputs[i])) {
                enum keep *keep = &values[node->inputs[i] - p->first];
                keep_raise(keep, for_w & (1u << i) ? KEEP_FOR_W : for_i & (1u << i) ? KEEP_FOR_I : KEEP_NOT);
            }
        unsigned output = WEIR_NEEDS_OUTPUT, state = WEIR_NEEDS_SAVED;
        keep_raise(&values[n - p->first], for_w & output ? KEEP_FOR_W : for_i & output ? KEEP_FOR_I : KEEP_NOT);
        keep_raise(&saved[n - p->first], for_w & state ? KEEP_FOR_W : for_i & state ? KEEP_FOR_I : KEEP_NOT);
    }
}

static struct weir_where kept_new(struct plan *p, enum keep keep, size_t bytes)
{
    if (keep == KEEP_NOT || !bytes)
        return buffer_new(p, bytes);
    int part = keep == KEEP_FOR_W ? 1 : 0;
    struct weir_where where = {part ? WEIR_PLACE_ACT_FW : WEIR_PLACE_ACT_FI, p->stage->act_bytes[part], 0};
    p->stage->act_bytes[part] += weir_pack_round(bytes);
    return where;
}

static int consumers_count(const struct plan *p, int value)
{
    int count = 0;
    for (int n = p->first; n < p->end; n++)
        for (int i = 0; i < node_of(p, n)->shapes.n_inputs; i++)
            count += node_of(p, n)->inputs[i] == value;
    return count;
}

/* The loss leaves the gradient of its prediction behind; when nobody else reads the prediction, in the same memory. */
static void loss_place(struct plan *p, const enum keep *values)
{
    int loss = p->end - 1;
    if (p->output >= 0 || p->c->forward_only)
        return;
    int prediction = node_of(p, loss)->inputs[0];
    size_t bytes = weir_shape_bytes(weir_graph_shape(p->c->graph, prediction));
    if (!is_inside(p, prediction)) { /* the stage is the loss alone: the gradient waits for its I */
        p->input_grad_loss = kept_new(p, KEEP_FOR_I, bytes);
        return;
    }
    /* a sum hands the gradient on, so that the W of whoever made its terms may read it */
    bool for_w = has_weight_backward(p, prediction) || (node_of(p, prediction)->op->flags & WEIR_OP_SUM);
    p->input_grad_loss = kept_new(p, for_w ? KEEP_FOR_W : KEEP_FOR_I, bytes);
    if (values[prediction - p->first] == KEEP_NOT && consumers_count(p, prediction) == 1)
        p->value_at[prediction - p->first] = p->input_grad_loss;
}

static void forward_places(struct plan *p)
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
        const struct weir_op_shapes *shapes = &node_of(p, v)->shapes;
        p->saved_at[i] = kept_new(p, saved[i], shapes->saved_bytes);
        if (p->value_at[i].place != WEIR_PLACE_NONE)
            continue;
        if (node_of(p, v)->op->flags & WEIR_OP_LOSS)
            p->value_at[i] = (struct weir_where){WEIR_PLACE_DATA, p->c->program->ranks[p->stage->rank].loss_offset, 8};
        else if (v == p->output && values[i] == KEEP_NOT)
            p->value_at[i] = (struct weir_where){WEIR_PLACE_SLOT_NEXT, 0, 0};
        else
            p->value_at[i] = kept_new(p, values[i], weir_shape_bytes(&shapes->output));
    }
}

static void forward_build(struct plan *p)
{
    struct list list = {0};
    forward_places(p);
    for (int n = p->first; n < p->end && !p->status; n++) {
        struct weir_step_call *call = node_call(p, &list, n, WEIR_FORWARD, ~0u);
        if (node_of(p, n)->op->flags & WEIR_OP_LOSS) {
            call->d_inputs[0] = p->input_grad_loss;
            call->call.loss_scale = 1.0 / ((double)p->c->graph->n_targets * p->c->schedule->n_microbatches);
        }
    }
    struct weir_where next = {WEIR_PLACE_SLOT_NEXT, 0, 0};
    if (!p->status && p->output >= 0 && p->value_at[p->output - p->first].place != WEIR_PLACE_SLOT_NEXT)
        copy_add(p, &list, next, p->value_at[p->output - p->first], p->stage[1].slot_bytes);
    list_resolve(p, &list, WEIR_LIST_F);
}

/* ---- backward ------------------------------------------------------------------------------------------------------ */

static struct weir_where *grad_of(struct plan *p, int value)
{
    return &p->grad_at[is_inside(p, value) ? value - p->first : p->end - p->first];
}

/* Two gradients that arrive without a call are added by one of the sum's own. */
static void sum_add(struct plan *p, struct list *list, int n, int value, struct weir_where a, struct weir_where b)
{
    struct weir_step_call *call = node_call(p, list, n, WEIR_FORWARD, 0);
    call->pass = WEIR_BACKWARD_INPUT;
    call->call.n_inputs = 2;
    call->call.inputs[1] = call->call.inputs[0];
    call->inputs[0] = a;
    call->inputs[1] = b;
    call->output = buffer_new(p, weir_shape_bytes(weir_graph_shape(p->c->graph, value)));
    *grad_of(p, value) = call->output;
}

static void sum_backward(struct plan *p, struct list *list, int n, struct weir_where d_output)
{
    for (int i = 0; i < node_of(p, n)->shapes.n_inputs; i++) {
        int value = node_of(p, n)->inputs[i];
        if (!value_wants_grad(p, value))
            continue;
        struct weir_where sum = *grad_of(p, value);
        if (sum.place == WEIR_PLACE_NONE)
            *grad_of(p, value) = d_output;
        else
            sum_add(p, list, n, value, sum, d_output);
    }
}

static void input_backward(struct plan *p, struct list *list, int n, struct weir_where d_output)
{
    const struct weir_node *node = node_of(p, n);
    bool whole = node->op->flags & WEIR_OP_NO_SPLIT;
    unsigned needs = node->op->input_needs | (whole ? node->op->weight_needs : 0);
    struct weir_step_call *call = node_call(p, list, n, WEIR_BACKWARD_INPUT, needs);
    call->d_output = d_output;
    if (whole)
        weight_grads_set(p, call);
    for (int i = 0; i < node->shapes.n_inputs; i++) {
        int value = node->inputs[i];
        if (!value_wants_grad(p, value))
            continue;
        struct weir_where *sum = grad_of(p, value);
        call->addends[i] = *sum;
        call->d_inputs[i] = *sum = buffer_new(p, weir_shape_bytes(weir_graph_shape(p->c->graph, value)));
    }
}

static void node_backward(struct plan *p, struct list *list, int n)
{
    const struct weir_node *node = node_of(p, n);
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
    if (has_input_backward(p, n))
        input_backward(p, list, n, d_output);
    if (has_weight_backward(p, n)) {
        struct weir_step_call *call = node_call(p, list, n, WEIR_BACKWARD_WEIGHT, node->op->weight_needs);
        call->d_output = d_output;
        weight_grads_set(p, call);
    }
}

static bool where_same(struct weir_where a, struct weir_where b)
{
    return a.place == b.place && a.offset == b.offset;
}

static bool is_read(struct list *list, struct weir_where where)
{
    for (int i = 0; i < list->n; i++) {
        const struct weir_step_call *call = &list->calls[i];
        if (where_same(call->d_output, where) || where_same(call->addends[0], where) ||
            where_same(call->inputs[0], where) || where_same(call->inputs[1], where))
            return true;
    }
    return false;
}

/* The gradient of the stage's input must end up in the previous stage's slot. */
static void input_grad_place(struct plan *p, struct list *list)
{
    if (p->status || p->input < 0 || !p->c->wants_grad[p->input])
        return;
    struct weir_where grad = *grad_of(p, p->input), slot = {WEIR_PLACE_GRAD_SLOT_PREV, 0, 0};
    if (grad.place == WEIR_PLACE_SCRATCH && !is_read(list, grad))
        p->buffers[grad.offset].place = WEIR_PLACE_GRAD_SLOT_PREV;
    else
        copy_add(p, list, slot, grad, p->stage->slot_bytes);
}

static void backward_build(struct plan *p, struct list *list)
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
static void weight_inputs_keep(struct plan *p, struct list *i_list, struct list *w_list)
{
    struct weir_where slot_copy = {WEIR_PLACE_NONE, 0, 0};
    for (int k = 0; k < w_list->n && !p->status; k++) {
        struct weir_where *d_output = &w_list->calls[k].d_output;
        if (d_output->place == WEIR_PLACE_GRAD_SLOT) {
            if (slot_copy.place == WEIR_PLACE_NONE) {
                slot_copy = buffer_new(p, p->stage[1].slot_bytes);
                copy_add(p, i_list, slot_copy, *d_output, p->stage[1].slot_bytes);
            }
            *d_output = slot_copy;
        }
        if (p->status || d_output->place != WEIR_PLACE_SCRATCH)
            continue;
        struct buffer *b = &p->buffers[d_output->offset];
        if (b->place == WEIR_PLACE_SCRATCH) {
            b->place = WEIR_PLACE_ACT_IW;
            b->offset = p->stage->act_bytes[2];
            p->stage->act_bytes[2] += weir_pack_round(b->bytes);
        }
    }
}

static void split_build(struct plan *p)
{
    struct list all = {0}, i_list = {0}, w_list = {0};
    backward_build(p, &all);
    for (int k = 0; k < all.n && !p->status; k++) {
        bool weight = all.calls[k].fn && all.calls[k].pass == WEIR_BACKWARD_WEIGHT;
        struct weir_step_call *call = call_new(p, weight ? &w_list : &i_list);
        *call = all.calls[k];
    }
    weight_inputs_keep(p, &i_list, &w_list);
    list_resolve(p, &i_list, WEIR_LIST_I);
    list_resolve(p, &w_list, WEIR_LIST_W);
}

static bool stage_has(const struct weir_compile *c, int stage, enum weir_action_type type)
{
    const struct weir_schedule_rank *rank = &c->schedule->ranks[c->program->stages[stage].rank];
    for (size_t i = 0; i < rank->n_actions; i++)
        if (rank->actions[i].stage == stage && rank->actions[i].type == type)
            return true;
    return false;
}

weir_status weir_compile_template(struct weir_compile *c, int stage)
{
    struct weir_stage_program *s = &c->program->stages[stage];
    const struct weir_graph *graph = c->graph;
    bool last = stage == c->program->n_stages - 1;
    struct plan p = {.c = c, .stage = s, .first = s->first_node, .end = s->first_node + s->n_nodes};
    p.input = stage ? graph->layers[s->first_layer].input : -1;
    p.output = last ? -1 : graph->layers[s->first_layer + s->n_layers].input;
    size_t n = (size_t)s->n_nodes;
    p.status = weir_arena_alloc(c->arena, n, sizeof *p.value_at, &p.value_at);
    if (!p.status)
        p.status = weir_arena_alloc(c->arena, n, sizeof *p.saved_at, &p.saved_at);
    if (!p.status)
        p.status = weir_arena_alloc(c->arena, n + 1, sizeof *p.grad_at, &p.grad_at);
    if (!p.status)
        forward_build(&p);
    if (!p.status && stage_has(c, stage, WEIR_B)) {
        struct list list = {0};
        backward_build(&p, &list);
        list_resolve(&p, &list, WEIR_LIST_B);
    }
    if (!p.status && stage_has(c, stage, WEIR_I))
        split_build(&p);
    return p.status;
}
