/* Templates: the kernel calls of one stage, for any micro-batch.
 *
 * Forward: one call per node.  A value that a backward will need is kept in the micro-batch's activation block (ACT_FI
 * or ACT_FW), the value that crosses to the next stage is written straight into that stage's slot, all others are
 * scratch.
 *
 * Backward: nodes in descending order.  The gradient of a value is the sum over its consumers; the first consumer writes
 * it, each further one adds to it (`addend`).  Sums (residual connections) hand their gradient on without a call.  One
 * pass makes the list of full backwards (B); the lists of I and W are the same calls taken apart, and the gradients that
 * W reads then move from scratch to ACT_IW.  A recomputed layer's forward calls come again right before its backward;
 * what they make is scratch, or ACT_IW, in the same way. */
#include "engine/program/template.h"

#include <string.h>

const struct weir_node *weir_plan_node(const struct weir_plan *p, int n)
{
    return &p->c->graph->nodes[n];
}

bool weir_plan_inside(const struct weir_plan *p, int value)
{
    return value >= p->first && value < p->end;
}

bool weir_plan_wants_grad(const struct weir_plan *p, int value)
{
    return !weir_value_is_input(value) && p->c->wants_grad[value];
}

bool weir_plan_recomputes(const struct weir_plan *p, int layer)
{
    return p->c->params->recompute && p->c->params->recompute[layer];
}

/* A new buffer of scratch; its where carries the buffer's number until the list is resolved. */
struct weir_where weir_plan_buffer(struct weir_plan *p, size_t bytes)
{
    struct weir_where none = {WEIR_PLACE_NONE, 0, 0};
    if (p->status || !bytes)
        return none;
    if (p->n_buffers == p->buffer_room) {
        int room = p->buffer_room ? p->buffer_room * 2 : 256;
        struct weir_plan_buffer *grown;
        p->status = weir_arena_alloc(p->c->arena, (size_t)room, sizeof *grown, &grown);
        if (p->status)
            return none;
        if (p->n_buffers)
            memcpy(grown, p->buffers, sizeof *grown * (size_t)p->n_buffers);
        p->buffers = grown;
        p->buffer_room = room;
    }
    p->buffers[p->n_buffers] = (struct weir_plan_buffer){bytes, WEIR_PLACE_SCRATCH, 0, 0, 0};
    return (struct weir_where){WEIR_PLACE_SCRATCH, (size_t)p->n_buffers++, 0};
}

struct weir_step_call *weir_plan_call(struct weir_plan *p, struct weir_plan_list *list)
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

void weir_plan_copy(struct weir_plan *p, struct weir_plan_list *list, struct weir_where to, struct weir_where from, size_t bytes)
{
    struct weir_step_call *call = weir_plan_call(p, list);
    call->copy_bytes = bytes;
    call->inputs[0] = from;
    call->output = to;
}

/* Where a value lies when a call of this stage reads it. */
static struct weir_where value_where(const struct weir_plan *p, int value)
{
    if (weir_value_is_input(value)) {
        int input = weir_value_input(value);
        size_t stride = weir_pack_round(weir_shape_bytes(&p->c->graph->inputs[input].shape));
        return (struct weir_where){WEIR_PLACE_DATA, p->c->program->ranks[p->stage->rank].input_offsets[input], stride};
    }
    if (weir_plan_inside(p, value))
        return p->value_at[value - p->first];
    return (struct weir_where){WEIR_PLACE_SLOT, 0, 0};
}

/* Gradients of parameters are f32, whatever kernels read: sums of many small terms (docs/training.md). */
static struct weir_tensor gradient_view(struct weir_shape *shape)
{
    struct weir_tensor view = weir_tensor_view(NULL, shape);
    view.code = 2;
    view.bits = 8 * sizeof(float);
    return view;
}

/* A call of `pass` of node n: shapes, parameters, and what the pass reads. */
struct weir_step_call *weir_plan_node_call(struct weir_plan *p, struct weir_plan_list *list, int n, enum weir_pass pass, unsigned needs)
{
    const struct weir_node *node = weir_plan_node(p, n);
    const struct weir_op_kernels *k = p->c->params->kernels ? p->c->params->kernels(node->op) : &node->op->cpu;
    struct weir_op_shapes *shapes = &p->c->shapes[n];
    struct weir_step_call *call = weir_plan_call(p, list);
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
        bool copied = p->c->graph->storage != WEIR_DTYPE_F32;
        call->call.params[i] = weir_tensor_view(NULL, &shapes->params[i]);
        call->call.d_params[i] = gradient_view(&shapes->params[i]);
        call->params[i] = (struct weir_where){copied ? WEIR_PLACE_COPY : WEIR_PLACE_PARAM,
                                              copied ? held->copy_offset : held->offset, 0};
    }
    if (needs & WEIR_NEEDS_OUTPUT)
        call->output = p->value_at[n - p->first];
    if (needs & WEIR_NEEDS_SAVED)
        call->saved = p->saved_at[n - p->first];
    size_t scratch = k->scratch_bytes ? k->scratch_bytes(shapes, pass, p->c->params->n_threads) : 0;
    call->scratch = weir_plan_buffer(p, scratch);
    if (shapes->cache_bytes)
        call->cache = (struct weir_where){WEIR_PLACE_CACHE, p->c->cache_offsets[n], 0};
    if (!call->fn && !p->status)
        p->status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "operation '%s' of node '%s' has no %s on this device",
                              node->op->name, node->name, pass == WEIR_FORWARD ? "forward" : "backward");
    return call;
}

void weir_plan_weight_grads(struct weir_plan *p, struct weir_step_call *call)
{
    for (int i = 0; i < call->call.n_params; i++) {
        const struct weir_param_use *use = weir_compile_use(p->c, call->node, i);
        call->d_params[i] = (struct weir_where){WEIR_PLACE_GRAD, use->grad_offset, 0};
    }
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
    struct weir_plan p = {.c = c, .stage = s, .first = s->first_node, .end = s->first_node + s->n_nodes};
    p.input = stage ? graph->layers[s->first_layer].input : -1;
    p.output = last ? -1 : graph->layers[s->first_layer + s->n_layers].input;
    size_t n = (size_t)s->n_nodes;
    p.status = weir_arena_alloc(c->arena, n, sizeof *p.value_at, &p.value_at);
    if (!p.status)
        p.status = weir_arena_alloc(c->arena, n, sizeof *p.saved_at, &p.saved_at);
    if (!p.status)
        p.status = weir_arena_alloc(c->arena, n + 1, sizeof *p.grad_at, &p.grad_at);
    struct weir_keeps_params keeps = {graph, c->forward_only ? NULL : c->wants_grad, c->params->recompute, p.first, p.end};
    if (!p.status)
        p.status = weir_keeps_find(&keeps, c->arena, &p.keeps);
    if (!p.status)
        weir_plan_forward(&p);
    if (!p.status && stage_has(c, stage, WEIR_B)) {
        struct weir_plan_list list = {0};
        weir_plan_backward(&p, &list);
        weir_plan_resolve(&p, &list, WEIR_LIST_B);
    }
    if (!p.status && stage_has(c, stage, WEIR_I))
        weir_plan_split(&p);
    return p.status;
}
