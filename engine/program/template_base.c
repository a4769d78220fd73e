/* Buffers and calls: what lists of kernel calls are made of. */
#include <string.h>

#include "engine/program/template.h"
#include "kernels/cpu/cpu.h"
#include "kernels/op_rows.h"

const struct weir_node *weir_template_node(const struct weir_template *t, int n)
{
    return &t->graph->nodes[n];
}

bool weir_template_inside(const struct weir_template *t, int value)
{
    return value >= t->first && value < t->end;
}

static const struct weir_template_crossing *crossing_find(const struct weir_template_crossing *list, int n, int value)
{
    for (int i = 0; i < n; i++)
        if (list[i].value == value)
            return &list[i];
    return NULL;
}

const struct weir_template_crossing *weir_template_in(const struct weir_template *t, int value)
{
    return crossing_find(t->ins, t->n_ins, value);
}

const struct weir_template_crossing *weir_template_out(const struct weir_template *t, int value)
{
    return crossing_find(t->outs, t->n_outs, value);
}

bool weir_where_same(const struct weir_where *a, const struct weir_where *b)
{
    return a->place == b->place && a->offset == b->offset && a->boundary == b->boundary;
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
    struct weir_where none = {WEIR_PLACE_NONE, 0, 0, 0};
    if (t->status || !bytes)
        return none;
    t->status = weir_arena_grow(t->c->arena, &t->buffers, &t->buffer_room, (size_t)t->n_buffers + 1, sizeof *t->buffers);
    if (t->status)
        return none;
    t->buffers[t->n_buffers] = (struct weir_template_buffer){.bytes = bytes, .place = WEIR_PLACE_SCRATCH};
    return (struct weir_where){WEIR_PLACE_SCRATCH, (size_t)t->n_buffers++, 0, 0};
}

void weir_template_reserve(struct weir_template *t, struct weir_template_list *list, int n)
{
    if (!t->status)
        t->status = weir_arena_alloc(t->c->arena, (size_t)n, sizeof *list->calls, &list->calls);
    list->room = t->status ? 0 : (size_t)n;
}

struct weir_step_call *weir_template_call(struct weir_template *t, struct weir_template_list *list)
{
    if (!t->status)
        t->status = weir_arena_grow(t->c->arena, &list->calls, &list->room, (size_t)list->n + 1, sizeof *list->calls);
    struct weir_step_call *call = t->status ? &t->spare : &list->calls[list->n++]; /* an arena's memory is zero */
    if (t->status)
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
    call->outputs[0] = to;
}

struct weir_where weir_template_value(const struct weir_template *t, int value)
{
    if (weir_value_is_input(value)) {
        int input = weir_value_input(value);
        size_t stride = weir_pack_round(weir_shape_bytes(&t->c->graph->inputs[input].shape)), before = 0;
        for (int k = 0; k < t->slice; k++) /* the slices of a micro-batch's input follow each other */
            before += weir_shape_bytes(&t->c->slices[k].graph->inputs[input].shape);
        return (struct weir_where){WEIR_PLACE_DATA, t->c->program->ranks[t->stage->rank].input_offsets[input] + before, stride, 0};
    }
    return weir_template_inside(t, value) ? t->value_at[value - t->first] : weir_template_in(t, value)->slot;
}

/* Gradients of parameters are f32, whatever kernels read: sums of many small terms (docs/training.md). */
static struct weir_tensor gradient_view(struct weir_shape *shape)
{
    struct weir_tensor view = weir_tensor_view(NULL, shape);
    view.code = 2;
    view.bits = 8 * sizeof(float);
    return view;
}

/* What the device brings for a row that node n needs; with nothing in it after a failure, which is noted. */
static const struct weir_op_kernels *kernels_of(struct weir_template *t, int n, const struct weir_op *op,
                                                const struct weir_op_shapes *shapes)
{
    static const struct weir_op_kernels none = {.forward = NULL};
    weir_kernels_fn find = t->c->params->kernels ? t->c->params->kernels : weir_cpu_kernels;
    const struct weir_op_kernels *kernels = &none;
    weir_status status = t->status ? t->status : find(op, shapes, &kernels);
    if (!t->status && status)
        t->status = weir_error_prefix(status, "node '%s': ", weir_template_node(t, n)->name);
    return kernels;
}

static weir_kernel_fn pass_of(const struct weir_op_kernels *kernels, enum weir_pass pass)
{
    return pass == WEIR_FORWARD ? kernels->forward : pass == WEIR_BACKWARD_INPUT ? kernels->backward_input : kernels->backward_weight;
}

/* A call of `pass` of node n: shapes, parameters, and what the pass reads. */
struct weir_step_call *weir_template_node_call(struct weir_template *t, struct weir_template_list *list, int n,
                                               enum weir_pass pass, unsigned needs)
{
    const struct weir_node *node = weir_template_node(t, n);
    struct weir_op_shapes *shapes = &t->c->slices[t->slice].shapes[n];
    const struct weir_op_kernels *k = kernels_of(t, n, node->op, shapes);
    struct weir_step_call *call = weir_template_call(t, list);
    call->kernels = k;
    call->fn = pass_of(k, pass);
    call->pass = pass;
    call->node = n;
    call->call.op = node->op;
    call->call.attr = shapes->attr;
    call->call.first_position = shapes->first_position;
    call->call.n_positions = shapes->n_positions;
    call->call.node = (uint32_t)n;
    call->call.n_inputs = shapes->n_inputs;
    call->call.n_outputs = shapes->n_outputs;
    call->call.n_params = shapes->n_params;
    for (int i = 0; i < shapes->n_outputs; i++) {
        call->call.outputs[i] = weir_tensor_view(NULL, &shapes->outputs[i]);
        call->call.d_outputs[i] = call->call.outputs[i];
        if (needs & WEIR_NEEDS_OUTPUT)
            call->outputs[i] = t->value_at[n + i - t->first];
    }
    for (int i = 0; i < shapes->n_inputs; i++) {
        call->call.inputs[i] = weir_tensor_view(NULL, &shapes->inputs[i]);
        call->call.d_inputs[i] = call->call.inputs[i];
        if (needs & weir_needs_input(i))
            call->inputs[i] = weir_template_value(t, node->inputs[i]);
    }
    for (int i = 0; i < shapes->n_params; i++) {
        const struct weir_rank_param *held = weir_compile_rank_param(t->c, t->stage->rank, node->params[i]);
        bool copied = t->graph->storage != WEIR_DTYPE_F32;
        call->call.params[i] = weir_tensor_view(NULL, &shapes->params[i]);
        call->call.d_params[i] = gradient_view(&shapes->params[i]);
        call->params[i] = (struct weir_where){copied ? WEIR_PLACE_COPY : WEIR_PLACE_PARAM,
                                              copied ? held->copy_offset : held->offset, 0, 0};
    }
    if (needs & WEIR_NEEDS_SAVED)
        call->saved = t->saved_at[n - t->first];
    size_t scratch = k->scratch_bytes ? k->scratch_bytes(shapes, pass, t->c->params->n_threads) : 0;
    call->scratch = weir_template_buffer(t, scratch);
    if (shapes->cache_bytes)
        call->cache = (struct weir_where){WEIR_PLACE_CACHE, t->c->cache_offsets[n], 0, 0};
    if (shapes->cache_gradient_bytes && pass == WEIR_BACKWARD_INPUT)
        call->cache_gradient = (struct weir_where){WEIR_PLACE_CACHE_GRAD, t->c->cache_gradient_offsets[n], 0, 0};
    if (t->c->packed_offsets && pass != WEIR_BACKWARD_WEIGHT) {
        size_t offset = t->c->packed_offsets[2 * n + (pass == WEIR_BACKWARD_INPUT)];
        if (offset != SIZE_MAX)
            call->packed = (struct weir_where){WEIR_PLACE_PACKED, offset, 0, 0};
    }
    if (!call->fn && !t->status)
        t->status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "operation '%s' of node '%s' has no %s on this device",
                              node->op->name, node->name, pass == WEIR_FORWARD ? "forward" : "backward");
    return call;
}

void weir_template_weight_grads(struct weir_template *t, struct weir_step_call *call)
{
    for (int i = 0; i < call->call.n_params; i++) {
        const struct weir_param_use *use = weir_compile_use(t->c, call->node, i);
        call->d_params[i] = (struct weir_where){WEIR_PLACE_GRAD, use->grad_offset, 0, 0};
    }
}

struct weir_where weir_template_sum(struct weir_template *t, struct weir_template_list *list, int n, int value, struct weir_where a,
                                    struct weir_where b)
{
    struct weir_shape *shape = &t->c->slices[t->slice].shapes[value].output;
    const struct weir_op_shapes shapes = {.storage = t->graph->storage, .n_inputs = 2, .inputs = {*shape, *shape},
                                          .n_outputs = 1, .output = *shape};
    const struct weir_op_kernels *k = kernels_of(t, n, &weir_op_add, &shapes);
    struct weir_step_call *call = weir_template_call(t, list);
    call->kernels = k;
    call->fn = k->forward;
    call->pass = WEIR_BACKWARD_INPUT;
    call->node = n;
    call->call.op = &weir_op_add;
    call->call.node = (uint32_t)n;
    call->call.n_inputs = 2;
    call->call.n_outputs = 1;
    call->call.output = weir_tensor_view(NULL, shape);
    call->call.d_output = call->call.output;
    for (int i = 0; i < 2; i++) {
        call->call.inputs[i] = call->call.d_inputs[i] = call->call.output;
        call->inputs[i] = i ? b : a;
    }
    call->outputs[0] = weir_template_buffer(t, weir_shape_bytes(shape));
    return call->outputs[0];
}
