#include "kernels/cuda/cuda.h"
#include "kernels/cuda/launchers.h"

static weir_status reduce(int64_t n, float *sum, int n_terms, const float *const *terms, void *stream)
{
    if (n_terms < 1 || n_terms > WEIR_REDUCE_TERMS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a reduction has %d terms, it should have 1 to %d", n_terms,
                         (int)WEIR_REDUCE_TERMS);
    return weir_launch_vector_reduce(n, sum, n_terms, terms, stream);
}

const struct weir_vector_kernels weir_vector_cuda = {
    .add = weir_launch_vector_add,
    .reduce = reduce,
    .square_sums = weir_launch_square_sums,
    .gate = weir_launch_gate,
    .adamw = weir_launch_adamw,
    .sgd = weir_launch_sgd,
    .to_bf16 = weir_launch_to_bf16,
};
