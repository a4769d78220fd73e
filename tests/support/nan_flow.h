/* NaN in, NaN out: what a row does with one element that is not a number.
 *
 * A changed element shows where it counts: every number that differs when the element is one larger or one smaller must
 * become NaN when the element does, in the forward pass and in both backward passes.  In rows that work element by element
 * the NaN must be where the element is, and nowhere else.  The rest of a row is free to become NaN, too. */
#ifndef WEIR_TESTS_NAN_FLOW_H
#define WEIR_TESTS_NAN_FLOW_H

#include "tests/support/op_rig.h"

struct nan_flow {
    const struct op_case *c;
    const struct weir_op_kernels *kernels;
    const struct weir_op_call *full; /* all tensors, which the test may read and write between runs */
    size_t cache_bytes;              /* of full->cache, of which element 0 .. are of the type of the output; 0: none */
    void *rig;
    weir_status (*run)(void *rig, enum weir_pass pass);
    float (*get)(const struct weir_tensor *tensor, int64_t i); /* of tensors of the storage type, and of f32 */
    void (*put)(const struct weir_tensor *tensor, int64_t i, float value);
};

/* First, middle and last element of every tensor that the row reads; fails the test where a NaN is lost. */
void nan_flow_check(const struct nan_flow *flow);

#endif
