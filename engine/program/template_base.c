/* Buffers and calls: what lists of kernel calls are made of. */
#include <string.h>

#include "engine/program/template.h"

const struct weir_node *weir_template_node(const struct weir_template *t, int n)
{
    return &t->graph->nodes[n];
}

bool weir_template_inside(const struct weir_template *t, int value)
{
    return value >= t->first && value < t->end;
}

bool weir_template_wants_grad(const struct weir_template *t, int value)
{
    return !weir_value_is_input(value) && t->c->wants_grad[value];
}

size_t weir_template_value_bytes(const struct weir_template *t, int value)
{
    return weir_pack_round(weir_shape_bytes(weir_graph_shape(t->graph, value)));
}

bool weir_template_recomputes(const struct weir_template *t, int layer)
{
    return t->c->params->recompute && t->c->params->recompute[layer];
}

struct weir_where weir_template_buffer(struct weir_template *t, size_t bytes)
{
    struct weir_where none = {WEIR_PLACE_NONE, 0, 0};
    if (t->status || !bytes)
        return none;
    t->status = weir_arena_grow(t->c->arena, &t->buffers, &t->buffer_room, (size_t)t->n_buffers + 1, sizeof *t->buffers);
    if (t->status)
        return none;
    t->buffers[t->n_buffers] = (struct weir_template_buffer){bytes, WEIR_PLACE_SCRATCH, 0, 0, 0};
    return (struct weir_where){WEIR_PLACE_SCRATCH, (size_t)t->n_buffers++, 0};
}

struct weir_step_call *weir_template_call(struct weir_template *t, struct weir_template_list *list)
{
    if (!t->status)
        t->status = weir_arena_grow(t->c->arena, &list->calls, &list->room, (size_t)list->n + 1, sizeof *list->calls);
    struct weir_step_call *call = t->status ? &t->spare : &list->calls[list->n++];
    memset(call, 0, sizeof *call);
    call->node = -1;
    return call;
}

void weir_template_copy(struct weir_template *t, struct weir_template_list *list, struct weir_where to,
                        struct weir_where from, size_t bytes)
{
    struct weir_step_call *call = weir_template_call(t, list);
    call->copy_bytes = bytes;
    call->inputs[0] = from;
    call->output = to;
}

/* Where a value lies when a call of this stage reads it. */
static struct weir_where value_where(const struct weir_template *t, int value)
{
    if (weir_value_is_input(value)) {
        int input = weir_value_input(value);
        size_t stride = weir_pack_round(weir_shape_bytes(&t->c->graph->inputs[input].shape)), before = 0;
        for (int k = 0; k < t->slice; k++) /* the slices of a micro-batch's input follow each other */
            before += weir_shape_bytes(&t->c->slices[k].graph->inputs[input].shape);
        return (struct weir_where){WEIR_PLACE_DATA, t->c->program->ranks[t->stage->rank].input_offsets[input] + before, stride};
    }
    if (weir_template_inside(t, value))
        return t->value_at[value - t->first];
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

/* Stands for a kernel of a device that this build does not have. */
static weir_status kernel_absent(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "operation '%s' has no kernel for this device in this build", call->op->name);
}

/* A call of `pass` of node n: shapes, parameters, and what the pass reads. */
struct weir_step_call *weir_template_node_call(struct weir_template *t, struct weir_template_list *list, int n,
                                               enum weir_pass pass, unsigned needs)
{
    const struct weir_node *node = weir_template_node(t, n);
    const struct weir_op_kernels *k = t->c->params->kernels ? t->c->params->kernels(node->op) : &node->op->cpu;
    struct weir_op_shapes *shapes = &t->c->slices[t->slice].shapes[n];
    struct weir_step_call *call = weir_template_call(t, list);
    call->fn = pass == WEIR_FORWARD ? k->forward : pass == WEIR_BACKWARD_INPUT ? k->backward_input : k->backward_weight;
    if (!call->fn && t->c->params->sizes_only)
        call->fn = kernel_absent;
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
            call->inputs[i] = value_where(t, node->inputs[i]);
    }
    for (int i = 0; i < shapes->n_params; i++) {
        const struct weir_rank_param *held = weir_compile_rank_param(t->c, t->stage->rank, node->params[i]);
        bool copied = t->graph->storage != WEIR_DTYPE_F32;
        call->call.params[i] = weir_tensor_view(NULL, &shapes->params[i]);
        call->call.d_params[i] = gradient_view(&shapes->params[i]);
        call->params[i] = (struct weir_where){copied ? WEIR_PLACE_COPY : WEIR_PLACE_PARAM,
                                              copied ? held->copy_offset : held->offset, 0};
    }
    if (needs & WEIR_NEEDS_OUTPUT)
        call->output = t->value_at[n - t->first];
    if (needs & WEIR_NEEDS_SAVED)
        call->saved = t->saved_at[n - t->first];
    size_t scratch = k->scratch_bytes ? k->scratch_bytes(shapes, pass, t->c->params->n_threads) : 0;
    call->scratch = weir_template_buffer(t, scratch);
    if (shapes->cache_bytes)
        call->cache = (struct weir_where){WEIR_PLACE_CACHE, t->c->cache_offsets[n], 0};
    if (shapes->cache_gradient_bytes && pass == WEIR_BACKWARD_INPUT)
        call->cache_gradient = (struct weir_where){WEIR_PLACE_CACHE_GRAD, t->c->cache_gradient_offsets[n], 0};
    if (!call->fn && !t->status)
        t->status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "operation '%s' of node '%s' has no %s on this device",
                              node->op->name, node->name, pass == WEIR_FORWARD ? "forward" : "backward");
    return call;
}

void weir_template_weight_grads(struct weir_template *t, struct weir_step_call *call)
{
    for (int i = 0; i < call->call.n_params; i++) {
        const struct weir_param_use *use = weir_compile_use(t->c, call->node, i);
        call->d_params[i] = (struct weir_where){WEIR_PLACE_GRAD, use->grad_offset, 0};
    }
}
