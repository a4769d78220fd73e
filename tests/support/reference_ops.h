/* What the operations should compute: every forward again in double, written for the eye and not for speed.
 *
 * One function per row of weir_ops, by the row's name.  Inputs of any element type come as doubles.  Gradients are not
 * here: tests take central differences of these functions, which are exact to about 1e-9. */
#ifndef WEIR_REFERENCE_OPS_H
#define WEIR_REFERENCE_OPS_H

#include "include/weir/op.h"

struct reference_call {
    const struct weir_op_shapes *shapes; /* of the row's infer */
    const double *inputs[WEIR_OP_INPUTS];
    const double *params[WEIR_OP_PARAMS];
    union {
        double *output, *outputs[WEIR_OP_OUTPUTS];
    };
    struct weir_step_values step;
    uint32_t node, first_sample;
};

typedef void (*reference_fn)(const struct reference_call *call);

/* NULL when there is no row of that name. */
reference_fn reference_find(const char *name);

/* The factor of one element of a sample that is dropped with probability p, from the definition in op.h. */
double reference_dropout(const struct reference_call *call, double p, int64_t sample, int64_t element);

#endif
