/* What the rows' infer() functions share: checks of inputs, and the costs of simple rows. */
#ifndef WEIR_KERNELS_INFER_H
#define WEIR_KERNELS_INFER_H

#include "include/weir/op.h"

/* "(2, 64, 128) f32", into `text`. */
enum { WEIR_SHAPE_TEXT = 192 };
const char *weir_shape_str(const struct weir_shape *shape, char text[WEIR_SHAPE_TEXT]);

/* Input `index` has at least `min_dims` dimensions, all at least 1, and this dtype; F32 stands for shapes->storage. */
weir_status weir_infer_input(const struct weir_op_shapes *shapes, const char *row, int index, int min_dims,
                             enum weir_dtype dtype);

/* The row has exactly n inputs. */
weir_status weir_infer_count(const struct weir_op_shapes *shapes, const char *row, int n);

/* The row's attributes are there.  They are, but for rows of programs that ask this one and say nothing of attr_bytes. */
weir_status weir_infer_attr(const struct weir_op_shapes *shapes, const char *row);

/* 0 <= p < 1, and an element index that the random counter can hold. */
weir_status weir_infer_dropout(double p, const char *row, double elements_per_sample);

/* Outputs of a row that has been asked: one where it has not said. */
static inline int weir_infer_n_outputs(const struct weir_op_shapes *shapes)
{
    return shapes->n_outputs ? shapes->n_outputs : 1;
}

/* One floating-point input with at least one dimension, an output of the same shape, no parameters. */
weir_status weir_infer_elementwise(struct weir_op_shapes *shapes, const char *row, double flops_per_element);

/* bytes[pass] from tensors: forward reads inputs and parameters and writes the outputs; backward_input reads d_outputs and
 * the inputs and writes their gradients; backward_weight reads d_outputs and inputs and writes the gradients, which are
 * f32. */
void weir_infer_bytes(struct weir_op_shapes *shapes);

static inline bool weir_shapes_equal(const struct weir_shape *a, const struct weir_shape *b)
{
    if (a->n_dims != b->n_dims || a->dtype != b->dtype)
        return false;
    for (int i = 0; i < a->n_dims; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

static inline int64_t weir_shape_last(const struct weir_shape *shape)
{
    return shape->dims[shape->n_dims - 1];
}

#endif
