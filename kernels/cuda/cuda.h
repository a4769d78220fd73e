/* CUDA: what the engine needs from the kernels besides the rows of op.h.
 *
 * A rank that computes on a GPU has one context: its stream, the cuBLASLt handle, the matrix-product algorithms chosen so far
 * and a fixed workspace in device memory.  It is passed to the rows as weir_op_call.context.
 *
 *     weir_cuda_context_open(WEIR_CUDA_WORKSPACE_BYTES, false, stream, &context)    on the rank's thread, its device being current
 *     kernels->prepare(&call, pass)                every call once, before the first step: runs it, so that its code is loaded
 *     kernels->forward(&call, stream)              every step: enqueues, allocates nothing
 *     weir_cuda_context_close(context)
 *
 * Rules of the CUDA rows (weir_cuda_kernels, weir_vector_cuda):
 *   - every tensor, `saved`, `scratch` and `step` is device memory, aligned to 16 bytes at least; the call itself, `attr`
 *     and the `shape` arrays are host memory, read while the row enqueues.  A captured step stays valid as long as the
 *     addresses do, because everything that changes from step to step is read through `step` and the gate.
 *   - `stream` is a cudaStream_t; nothing synchronises.  One context serves one stream at a time, since its products share
 *     one workspace.
 *   - results depend on values and shapes alone: no float atomics, grids follow from the shape, one algorithm per product.
 *   - a token or target outside of the vocabulary cannot be refused from a stream: its row becomes NaN, so that the loss
 *     is not finite and the step is not applied.  Who feeds the rows checks tokens before they are copied to the device.
 *   - tensors are f32, or bf16 (DLPack code 4, 16 bits): then inputs, outputs, parameters, d_output, d_inputs and addends
 *     all are, while d_params, saved and scratch stay f32 and losses f64.
 *
 * A build without CUDA has only the sizes of scratch.  tests/stand_ins/cuda_on_cpu runs these kernels on the processor;
 * docs/gpu-results.md says what has run where. */
#ifndef WEIR_KERNELS_CUDA_CUDA_H
#define WEIR_KERNELS_CUDA_CUDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "include/weir/op.h"
#include "kernels/kernel_table.h"
#include "kernels/vector.h"

enum { WEIR_CUDA_WORKSPACE_BYTES = 32 << 20 }; /* what cuBLASLt is recommended to have on Hopper */

#ifdef __cplusplus
extern "C" {
#endif

/* The kernels of a row on CUDA (cuda_table.c); of one that is planned for and not run, in every build (cuda_planned.c): those have
 * the sizes of their scratch, and fail when they are called. */
weir_status weir_cuda_kernels(const struct weir_op *op, const struct weir_op_shapes *shapes,
                              const struct weir_op_kernels **kernels_out);
weir_status weir_cuda_kernels_planned(const struct weir_op *op, const struct weir_op_shapes *shapes,
                                      const struct weir_op_kernels **kernels_out);

/* Open the kernel state of one rank on the current device.  `stream`: a cudaStream_t, the one on which the context's kernels
 * run; every vector kernel is enqueued there once.  `workspace_bytes` of device memory for matrix products: the
 * algorithms, and with them the last bits of results, may depend on this number.  `tf32`: f32 products may round their
 * factors to tf32.  WEIR_ERR_DEVICE, WEIR_ERR_NOMEM. */
weir_status weir_cuda_context_open(size_t workspace_bytes, bool tf32, void *stream,
                                   struct weir_kernel_context **context_out);
void weir_cuda_context_close(struct weir_kernel_context *context);

/* Vector kernels of vector.h.  `terms` of reduce is a host array of device pointers, read while the call enqueues. */
extern const struct weir_vector_kernels weir_vector_cuda;

/* The one way in which results of the CUDA runtime become statuses: WEIR_OK for cudaSuccess, else WEIR_ERR_NOMEM or
 * WEIR_ERR_DEVICE with the call, the error's name and its text; the runtime's last error is popped, so that the next check
 * does not report it again.  `error` is a cudaError_t, `call` the name of the function or kernel. */
weir_status weir_cuda_check(int error, const char *call);

#ifdef __cplusplus
}
#endif

#endif
