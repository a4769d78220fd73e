#include "device_rig.h"

#include <stdlib.h>
#include <string.h>

#include "tests/stand_ins/cuda_on_cpu/cuda_kernels.h"
#include "tests/support/bf16_bits.h"
#include "tests/support/testing.h"

void device_rig_put(const struct weir_tensor *tensor, int64_t i, float value)
{
    if (tensor->code == 4)
        ((uint16_t *)tensor->data)[i] = bf16_of(value);
    else
        ((float *)tensor->data)[i] = value;
}

float device_rig_element(const struct weir_tensor *tensor, int64_t i)
{
    return tensor->code == 4 ? float_of(((const uint16_t *)tensor->data)[i]) : ((const float *)tensor->data)[i];
}

void *device_rig_floats(struct device_rig *device, int64_t n, const float *from)
{
    struct weir_tensor to = {.data = twin_block(&device->memory, (size_t)n * weir_dtype_bytes(device->type)),
                             .code = device->type == WEIR_DTYPE_BF16 ? 4 : 2};
    for (int64_t i = 0; i < n; i++)
        device_rig_put(&to, i, from[i]);
    return to.data;
}

/* A copy of `tensor` on the device, in the rig's type where `stored`; the original is rounded alike. */
static struct weir_tensor tensor_copy(struct device_rig *device, const struct weir_tensor *tensor, bool stored)
{
    struct weir_tensor copy = *tensor;
    if (!tensor->data)
        return copy;
    int64_t n = weir_tensor_elements(tensor);
    if (stored && tensor->code == 2 && tensor->bits == 32) {
        float *values = tensor->data;
        copy.data = device_rig_floats(device, n, values);
        copy.code = device->type == WEIR_DTYPE_BF16 ? 4 : 2;
        copy.bits = (uint8_t)(8 * weir_dtype_bytes(device->type));
        for (int64_t i = 0; i < n; i++)
            values[i] = device_rig_element(&copy, i);
    } else {
        copy.data = twin_block(&device->memory, (size_t)n * tensor->bits / 8);
        memcpy(copy.data, tensor->data, (size_t)n * tensor->bits / 8);
    }
    copy.device_type = WEIR_DEVICE_TYPE_CUDA;
    return copy;
}

static size_t scratch_bytes(const struct op_rig *rig)
{
    const struct weir_op_kernels *cuda = cuda_kernels(rig->c->op);
    size_t most = 0;
    for (int pass = 0; pass < WEIR_PASSES && cuda->scratch_bytes; pass++) {
        size_t bytes = cuda->scratch_bytes(&rig->shapes, (enum weir_pass)pass, 1);
        most = bytes > most ? bytes : most;
    }
    return most;
}

void device_rig_open(struct device_rig *device, struct twin_device *on, struct op_rig *rig, enum weir_dtype type)
{
    *device = (struct device_rig){
        .rig = rig, .full = rig->full, .memory.on = on, .type = type, .scratch_bytes = scratch_bytes(rig)};
    struct weir_op_call *call = &device->full;
    for (int i = 0; i < WEIR_OP_INPUTS; i++) {
        call->inputs[i] = tensor_copy(device, &rig->full.inputs[i], true);
        call->d_inputs[i] = tensor_copy(device, &rig->full.d_inputs[i], true);
    }
    for (int i = 0; i < WEIR_OP_PARAMS; i++) {
        call->params[i] = tensor_copy(device, &rig->full.params[i], true);
        call->d_params[i] = tensor_copy(device, &rig->full.d_params[i], false);
    }
    for (int i = 0; i < WEIR_OP_OUTPUTS; i++) {
        call->outputs[i] = tensor_copy(device, &rig->full.outputs[i], true);
        call->d_outputs[i] = tensor_copy(device, &rig->full.d_outputs[i], true);
    }
    call->saved = twin_block(&device->memory, rig->shapes.saved_bytes);
    call->scratch = twin_block(&device->memory, device->scratch_bytes);
    if (rig->shapes.cache_bytes) /* bytes as of f32: enough for bf16; NaN until it is written */
        call->cache = memset(twin_block(&device->memory, rig->shapes.cache_bytes), 0xff, rig->shapes.cache_bytes);
    call->step = memcpy(twin_block(&device->memory, sizeof rig->step), &rig->step, sizeof rig->step);
    call->context = on->context;
}

void device_rig_close(struct device_rig *device)
{
    twin_release(&device->memory, device->full.op->name);
}

static void call_move(const struct twin_memory *memory, struct weir_op_call *call)
{
    for (int i = 0; i < WEIR_OP_INPUTS; i++) {
        call->inputs[i].data = twin_of(memory, call->inputs[i].data);
        call->d_inputs[i].data = twin_of(memory, call->d_inputs[i].data);
        call->addends[i] = twin_of(memory, call->addends[i]);
    }
    for (int i = 0; i < WEIR_OP_PARAMS; i++) {
        call->params[i].data = twin_of(memory, call->params[i].data);
        call->d_params[i].data = twin_of(memory, call->d_params[i].data);
    }
    for (int i = 0; i < WEIR_OP_OUTPUTS; i++) {
        call->outputs[i].data = twin_of(memory, call->outputs[i].data);
        call->d_outputs[i].data = twin_of(memory, call->d_outputs[i].data);
    }
    call->saved = twin_of(memory, call->saved);
    call->scratch = twin_of(memory, call->scratch);
    call->cache = twin_of(memory, call->cache);
    call->step = twin_of(memory, call->step);
}

/* A prepare may run its pass: what the host has is put back afterwards. */
static weir_status prepare(struct device_rig *device, const struct weir_op_call *call, enum weir_pass pass)
{
    struct twin_memory *memory = &device->memory;
    char *kept[TWIN_BLOCKS];
    for (int b = 0; b < memory->n_blocks; b++) {
        size_t bytes = TWIN_GUARD + memory->blocks[b].bytes + TWIN_GUARD;
        assert_non_null(kept[b] = malloc(bytes));
        memcpy(kept[b], memory->blocks[b].host, bytes);
    }
    weir_status status = cuda_kernels(call->op)->prepare(call, pass);
    for (int b = 0; b < memory->n_blocks; b++) {
        memcpy(memory->blocks[b].host, kept[b], TWIN_GUARD + memory->blocks[b].bytes + TWIN_GUARD);
        free(kept[b]);
    }
    twin_push(memory);
    return status;
}

weir_status device_rig_run(struct device_rig *device, enum weir_pass pass, const void *const *addends, bool accumulate)
{
    const struct weir_op_kernels *cuda = cuda_kernels(device->full.op);
    const weir_kernel_fn kernels[] = {cuda->forward, cuda->backward_input, cuda->backward_weight};
    struct weir_op_call call = op_rig_needed(&device->full, pass, accumulate);
    if (addends)
        memcpy(call.addends, addends, sizeof call.addends);
    memset(device->full.scratch, 0xff, device->scratch_bytes);
    call_move(&device->memory, &call);
    twin_push(&device->memory);
    weir_status status = prepare(device, &call, pass);
    if (!status)
        status = kernels[pass](&call, device->memory.on->native);
    if (!status)
        twin_pull(&device->memory);
    return status;
}
