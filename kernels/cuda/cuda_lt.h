/* Products by a library, cuBLASLt: what cuda_matmul.c chooses from.
 *
 * A plan is the library's description of one product and the algorithms that it names for it, best first by its own guess.
 * The list follows from the description, the size of the workspace, the device and the library's version, never from a
 * timing or an address, and none of its algorithms adds with atomics.  cuda_lt.c implements this with cuBLASLt;
 * tests/stand_ins/cuda_on_cpu has a plain one in its place. */
#ifndef WEIR_KERNELS_CUDA_CUDA_LT_H
#define WEIR_KERNELS_CUDA_CUDA_LT_H

#include "kernels/cuda/cuda_matmul.h"

enum { WEIR_CUDA_CANDIDATES = 8 }; /* most algorithms of a plan */

struct weir_cuda_lt;
struct weir_cuda_lt_plan;

/* On the current device.  `workspace` is device memory of the caller's, used by every product of the handle. */
weir_status weir_cuda_lt_open(void *workspace, size_t workspace_bytes, bool tf32, struct weir_cuda_lt **lt_out);
void weir_cuda_lt_close(struct weir_cuda_lt *lt);

/* The device's name, and the library's version as a number. */
const char *weir_cuda_lt_device(const struct weir_cuda_lt *lt);
uint64_t weir_cuda_lt_version(const struct weir_cuda_lt *lt);

/* *n_out: algorithms that the library names and its check accepts; 0 where it has none, and then there is no plan.
 * WEIR_ERR_UNSUPPORTED: the library refuses the product; its words are the message. */
weir_status weir_cuda_lt_plan_open(struct weir_cuda_lt *lt, const struct weir_cuda_product *product,
                                   struct weir_cuda_lt_plan **plan_out, int *n_out);
void weir_cuda_lt_plan_close(struct weir_cuda_lt_plan *plan);

/* Enqueue.  After a failure nothing is.  WEIR_ERR_UNSUPPORTED: this algorithm cannot, another one may. */
weir_status weir_cuda_lt_run(struct weir_cuda_lt *lt, struct weir_cuda_lt_plan *plan, int candidate,
                             const struct weir_cuda_operands *operands, void *stream);

#endif
