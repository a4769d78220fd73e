/* Vector kernels: what the end of a step does with gradients and parameters, one table per device.
 *
 *     add, reduce      gradients of tied uses, of replicas
 *     square_sums      float64 partial sums of the gradient norm
 *     gate             norm and loss from their parts: is this step applied, and how much are gradients scaled?
 *     adamw, sgd       element-wise updates; they read the gate, so that no number travels to the host inside a step
 *     to_bf16          the copies of parameters that bf16 kernels read
 *
 * All pointers are memory of the device.  On cpu a call computes before it returns, and `stream` is the rank's kernel context,
 * whose threads share the blocks, or NULL: the caller alone.  On cuda it enqueues on `stream`.  Results depend on values and n alone; every kernel but gate is element-wise or works on whole
 * blocks of WEIR_NORM_BLOCK elements, so that a shard that begins at a block's border gives the same bits as the whole. */
#ifndef WEIR_KERNELS_VECTOR_H
#define WEIR_KERNELS_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { WEIR_NORM_BLOCK = 65536 }; /* elements per partial sum of the gradient norm */

/* adamw: Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2, g being the scaled gradient:
 *     m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
 *     w = w - lr weight_decay w - lr (m / correction1) / (sqrt(v / correction2) + eps)
 * sgd:  w = w - lr (g + weight_decay w) */
struct weir_update {
    float learning_rate, beta1, beta2, eps, weight_decay;
    float correction1, correction2; /* 1 - beta1^t, 1 - beta2^t */
};

/* Factors of learning rate and weight decay for one parameter.  With 1 and 1 the bits are those of the rates themselves. */
struct weir_update_scale {
    float learning_rate, weight_decay; /* weight_decay 0: none applies */
};

/* What the end of a step decided. */
struct weir_update_gate {
    double grad_norm; /* global, before clipping */
    double loss;      /* mean over all targets of the step */
    float grad_scale; /* factor of the gradients: min(1, clip / (grad_norm + 1e-6)), as torch.nn.utils.clip_grad_norm_ */
    uint32_t apply;   /* 0: norm or loss is not finite, nothing is updated */
};

enum { WEIR_REDUCE_TERMS = 64 }; /* most replicas */

struct weir_vector_kernels {
    /* sum[i] += term[i] */
    weir_status (*add)(int64_t n, float *sum, const float *term, void *stream);

    /* sum[i] = ((terms[0][i] + terms[1][i]) + ...); `sum` may be one of the terms */
    weir_status (*reduce)(int64_t n, float *sum, int n_terms, const float *const *terms, void *stream);

    /* sums[b] = squares of elements [b * WEIR_NORM_BLOCK, (b + 1) * WEIR_NORM_BLOCK) of n, added in a fixed tree */
    weir_status (*square_sums)(int64_t n, const float *x, double *sums, void *stream);

    /* grad_norm = sqrt(sums added in ascending order); loss = losses added in ascending order / n_targets */
    weir_status (*gate)(int64_t n_sums, const double *sums, int64_t n_losses, const double *losses, double n_targets,
                        double clip, struct weir_update_gate *gate_out, void *stream);

    /* Nothing happens when gate->apply is 0. */
    weir_status (*adamw)(const struct weir_update *update, const struct weir_update_gate *gate, struct weir_update_scale scale,
                         int64_t n, float *param, const float *grad, float *m, float *v, void *stream);
    weir_status (*sgd)(const struct weir_update *update, const struct weir_update_gate *gate, struct weir_update_scale scale,
                       int64_t n, float *param, const float *grad, void *stream);

    /* to[i] = from[i] as bf16, to the nearest, ties to even; past the largest bf16 an infinity, and every NaN 0x7fff */
    weir_status (*to_bf16)(int64_t n, const float *from, void *to, void *stream);
};

#ifdef __cplusplus
extern "C" {
#endif

extern const struct weir_vector_kernels weir_vector_cpu;

#ifdef __cplusplus
}
#endif

#endif
