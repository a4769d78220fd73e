#include "include/weir/call.h"

#include <string.h>

#include "base/rng.h"

/* Tensor i of n; NULL where there is none, or it has no memory in this call. */
static const struct weir_tensor *there(const struct weir_tensor *tensors, int n, int i)
{
    return i >= 0 && i < n && tensors[i].data ? &tensors[i] : NULL;
}

int weir_call_n_inputs(const struct weir_op_call *call)
{
    return call->n_inputs;
}

int weir_call_n_outputs(const struct weir_op_call *call)
{
    return call->n_outputs;
}

int weir_call_n_params(const struct weir_op_call *call)
{
    return call->n_params;
}

const struct weir_tensor *weir_call_input(const struct weir_op_call *call, int i)
{
    return there(call->inputs, call->n_inputs, i);
}

const struct weir_tensor *weir_call_param(const struct weir_op_call *call, int i)
{
    return there(call->params, call->n_params, i);
}

const struct weir_tensor *weir_call_output(const struct weir_op_call *call)
{
    return there(&call->output, 1, 0);
}

const struct weir_tensor *weir_call_d_output(const struct weir_op_call *call)
{
    return there(&call->d_output, 1, 0);
}

const struct weir_tensor *weir_call_output_at(const struct weir_op_call *call, int i)
{
    return there(call->outputs, call->n_outputs, i);
}

const struct weir_tensor *weir_call_d_output_at(const struct weir_op_call *call, int i)
{
    return there(call->d_outputs, call->n_outputs, i);
}

const struct weir_tensor *weir_call_d_input(const struct weir_op_call *call, int i)
{
    return there(call->d_inputs, call->n_inputs, i);
}

const struct weir_tensor *weir_call_d_param(const struct weir_op_call *call, int i)
{
    return there(call->d_params, call->n_params, i);
}

const void *weir_call_addend(const struct weir_op_call *call, int i)
{
    return i >= 0 && i < call->n_inputs ? call->addends[i] : NULL;
}

bool weir_call_accumulates(const struct weir_op_call *call)
{
    return call->accumulate;
}

void *weir_call_saved(const struct weir_op_call *call)
{
    return call->saved;
}

void *weir_call_scratch(const struct weir_op_call *call)
{
    return call->scratch;
}

const void *weir_call_attr(const struct weir_op_call *call)
{
    return call->attr;
}

int64_t weir_call_first_position(const struct weir_op_call *call)
{
    return call->first_position;
}

int64_t weir_call_n_positions(const struct weir_op_call *call)
{
    return call->n_positions;
}

double weir_call_loss_scale(const struct weir_op_call *call)
{
    return call->loss_scale;
}

const struct weir_step_values *weir_call_step(const struct weir_op_call *call)
{
    return call->step;
}

uint32_t weir_call_node(const struct weir_op_call *call)
{
    return call->node;
}

uint32_t weir_call_first_sample(const struct weir_op_call *call)
{
    return call->first_sample;
}

void weir_call_random(const struct weir_op_call *call, uint32_t sample, uint32_t block, uint32_t numbers_out[4])
{
    struct weir_rng_block b = weir_rng_philox(call->step->seed, block, call->node, call->first_sample + sample, call->step->step);
    memcpy(numbers_out, b.v, sizeof b.v);
}

/* ---- shapes ----------------------------------------------------------------------------------------------------------- */

int weir_shapes_n_inputs(const struct weir_op_shapes *shapes)
{
    return shapes->n_inputs;
}

const struct weir_shape *weir_shapes_input(const struct weir_op_shapes *shapes, int i)
{
    return i >= 0 && i < shapes->n_inputs ? &shapes->inputs[i] : NULL;
}

enum weir_dtype weir_shapes_storage(const struct weir_op_shapes *shapes)
{
    return shapes->storage;
}

const void *weir_shapes_attr(const struct weir_op_shapes *shapes)
{
    return shapes->attr;
}

int64_t weir_shapes_first_position(const struct weir_op_shapes *shapes)
{
    return shapes->first_position;
}

int64_t weir_shapes_n_positions(const struct weir_op_shapes *shapes)
{
    return shapes->n_positions;
}

void weir_shapes_output_set(struct weir_op_shapes *shapes, const struct weir_shape *output)
{
    shapes->output = output ? *output : (struct weir_shape){.n_dims = -1}; /* which the graph builder refuses */
    shapes->n_outputs = 1;
}

weir_status weir_shapes_output_add(struct weir_op_shapes *shapes, const struct weir_shape *output)
{
    if (shapes->n_outputs >= WEIR_OP_OUTPUTS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a row has more than %d outputs", (int)WEIR_OP_OUTPUTS);
    shapes->outputs[shapes->n_outputs++] = output ? *output : (struct weir_shape){.n_dims = -1};
    return WEIR_OK;
}

weir_status weir_shapes_param_add(struct weir_op_shapes *shapes, const struct weir_shape *param)
{
    if (shapes->n_params >= WEIR_OP_PARAMS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a row has more than %d parameters", (int)WEIR_OP_PARAMS);
    shapes->params[shapes->n_params++] = *param;
    return WEIR_OK;
}

void weir_shapes_saved_set(struct weir_op_shapes *shapes, size_t bytes)
{
    shapes->saved_bytes = bytes;
}

void weir_shapes_work_set(struct weir_op_shapes *shapes, enum weir_pass pass, double flops, double bytes)
{
    shapes->flops[pass] = flops;
    shapes->bytes[pass] = bytes;
}
