/* Rows of one's own that outlive a version: what a call and its shapes have, asked for by number.
 *
 *     static weir_status scale_forward(const struct weir_op_call *call, void *stream)
 *     {
 *         const struct weir_tensor *x = weir_call_input(call, 0), *gain = weir_call_param(call, 0), *y = weir_call_output(call);
 *         ...
 *     }
 *
 * A row that uses these functions and no field of the structs runs with a library whose structs have grown.  A tensor has
 * the layout of DLPack's DLTensor, so a pointer to one is what other libraries take; it is valid during the call.
 *
 * A tensor that is not there is NULL: the number is out of range, or this call does not need it (op.h says which kernel has
 * what).  Nothing here fails, allocates or blocks.
 *
 * What holds for every kernel and callback of a program: it returns a status.  No exception, no longjmp and no thread's end may
 * leave it: the threads, streams and locks of the library between it and the program would stay as they are. */
#ifndef WEIR_KERNELS_CALL_H
#define WEIR_KERNELS_CALL_H

#include "op.h"

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* ---- a call: in forward, backward_input and backward_weight ------------------------------------------------------------ */

/* Tensors by number, and how many there are. */
int weir_call_n_inputs(const struct weir_op_call *call);
int weir_call_n_outputs(const struct weir_op_call *call);
int weir_call_n_params(const struct weir_op_call *call);
const struct weir_tensor *weir_call_input(const struct weir_op_call *call, int i);
const struct weir_tensor *weir_call_param(const struct weir_op_call *call, int i);
const struct weir_tensor *weir_call_output(const struct weir_op_call *call);
const struct weir_tensor *weir_call_d_output(const struct weir_op_call *call);
const struct weir_tensor *weir_call_output_at(const struct weir_op_call *call, int i);   /* rows with several */
const struct weir_tensor *weir_call_d_output_at(const struct weir_op_call *call, int i); /* NULL: zero */
const struct weir_tensor *weir_call_d_input(const struct weir_op_call *call, int i);  /* NULL: nobody wants this gradient */
const struct weir_tensor *weir_call_d_param(const struct weir_op_call *call, int i);

/* What is to be added to input gradient `i`, as large as that; it may be the same memory.  NULL: nothing. */
const void *weir_call_addend(const struct weir_op_call *call, int i);

/* Parameter gradients: += instead of =. */
bool weir_call_accumulates(const struct weir_op_call *call);

/* The node's attributes, in the struct that the row takes, aligned for any type; NULL: it takes none. */
const void *weir_call_attr(const struct weir_op_call *call);

/* Slices: where the call's rows stand in their sequences, and how long these are; 0 and 0: the rows are whole sequences. */
int64_t weir_call_first_position(const struct weir_op_call *call);
int64_t weir_call_n_positions(const struct weir_op_call *call);

/* Memory that the row has asked for. */
void *weir_call_saved(const struct weir_op_call *call);   /* as many bytes as the row has asked for; NULL: none */
void *weir_call_scratch(const struct weir_op_call *call);
double weir_call_loss_scale(const struct weir_op_call *call); /* loss rows: factor of the gradient */

/* What random numbers are keyed by (op.h, Exactness): the run's seed, the step's number, the node, and the first sample of the
 * micro-batch in the step.  The values of the step lie in the device's memory: on `cuda` only a kernel may read them. */
const struct weir_step_values *weir_call_step(const struct weir_op_call *call);
uint32_t weir_call_node(const struct weir_op_call *call);
uint32_t weir_call_first_sample(const struct weir_op_call *call);

/* Four numbers of 32 random bits, for the elements 4 * block to 4 * block + 3 of a sample of the micro-batch, by the rule of op.h
 * (Exactness): the same whatever the schedule, the partition and the device. */
void weir_call_random(const struct weir_op_call *call, uint32_t sample, uint32_t block, uint32_t numbers_out[4]);

/* ---- shapes: in infer and scratch_bytes -------------------------------------------------------------------------------- */

/* What the node is given: inputs, the type that values are stored in (op.h, Storage), attributes, positions. */
int weir_shapes_n_inputs(const struct weir_op_shapes *shapes);
const struct weir_shape *weir_shapes_input(const struct weir_op_shapes *shapes, int i); /* NULL: out of range */
enum weir_dtype weir_shapes_storage(const struct weir_op_shapes *shapes);
const void *weir_shapes_attr(const struct weir_op_shapes *shapes);
int64_t weir_shapes_first_position(const struct weir_op_shapes *shapes);
int64_t weir_shapes_n_positions(const struct weir_op_shapes *shapes);

/* For infer to say: the only output, or one after the other; NULL, which weir_shapes_input gives where there is no such input, is
 * refused with the node's name.  What is added comes behind the ones before; WEIR_ERR_INVALID: there are
 * WEIR_OP_OUTPUTS, or WEIR_OP_PARAMS. */
void weir_shapes_output_set(struct weir_op_shapes *shapes, const struct weir_shape *output);
weir_status weir_shapes_output_add(struct weir_op_shapes *shapes, const struct weir_shape *output);
weir_status weir_shapes_param_add(struct weir_op_shapes *shapes, const struct weir_shape *param);
void weir_shapes_saved_set(struct weir_op_shapes *shapes, size_t bytes);
void weir_shapes_work_set(struct weir_op_shapes *shapes, enum weir_pass pass, double flops, double bytes);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
