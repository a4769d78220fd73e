/* Dropout factors: 0 with probability p, else 1 / (1 - p), for a run of elements of one sample.
 *
 * Element e of a sample takes word e % 4 of the Philox block (e / 4, node, sample, step) and is dropped when that number,
 * uniform in [0, 1), is below p.  Any run of elements can be asked for, in any order. */
#ifndef WEIR_KERNELS_CPU_DROPOUT_MASK_H
#define WEIR_KERNELS_CPU_DROPOUT_MASK_H

#include "include/weir/op.h"

/* Whether this call drops anything: p > 0 and the step is one of training. */
static inline bool weir_dropout_active(const struct weir_op_call *call, double p)
{
    return p > 0 && call->step && call->step->training;
}

/* factors[0..n) of elements first..first+n-1 of sample `sample` of the micro-batch. */
void weir_dropout_factors(const struct weir_op_call *call, double p, int64_t sample, int64_t first, int64_t n, float *factors);

#endif
