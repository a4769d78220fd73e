/* Runs a CUDA row on the tensors of an op_rig: the same case, values and rules as the CPU row, on a device or its emulation.
 *
 *     op_rig_open(&rig, ...)                     the CPU's side, and the values
 *     device_rig_open(&device, &on, &rig, type)      copies of all tensors, as f32 or rounded to bf16 (and the rig's own values
 *                                                rounded with them, so that both sides compute with the same numbers)
 *     device_rig_run(&device, pass, addends, accumulate)
 *
 * Buffers lie between guard bytes, scratch holds NaN before every pass, and a pass gets only what its row declares. */
#ifndef WEIR_TESTS_DEVICE_RIG_H
#define WEIR_TESTS_DEVICE_RIG_H

#include "include/weir/op.h"
#include "tests/support/op_rig.h"
#include "twin.h"

struct device_rig {
    struct op_rig *rig;
    struct weir_op_call full; /* every tensor bound to the host's side of the device's copies */
    struct twin_memory memory;
    enum weir_dtype type;
    size_t scratch_bytes;
};

void device_rig_open(struct device_rig *device, struct twin_device *on, struct op_rig *rig, enum weir_dtype type);
void device_rig_close(struct device_rig *device);

/* `addends`: one per input, or NULL. */
weir_status device_rig_run(struct device_rig *device, enum weir_pass pass, const void *const *addends, bool accumulate);

/* The host's side of a block of the device with room for `n` elements of the rig's type, filled from floats. */
void *device_rig_floats(struct device_rig *device, int64_t n, const float *from);

/* Element i of a device tensor (f32 or bf16). */
float device_rig_element(const struct weir_tensor *tensor, int64_t i);
void device_rig_put(const struct weir_tensor *tensor, int64_t i, float value);

#endif
