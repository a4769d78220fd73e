/* Update kernels and vector sums (op.h).  All element-wise, so shards of a tensor can be updated alone.
 *
 * adamw: Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2:
 *     m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
 *     w = w - lr weight_decay w - lr (m / correction1) / (sqrt(v / correction2) + eps) */
#include <math.h>

#include "kernels/cpu/simd.h"
#include "kernels/op.h"

WEIR_KERNEL static void adamw(const struct weir_adamw *restrict a, int64_t n, float *param, const float *grad, float *m,
                              float *v)
{
    const struct weir_adamw c = *a;
    float decay = c.learning_rate * c.weight_decay;
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++) {
        float g = grad[i] * c.grad_scale;
        float m1 = c.beta1 * m[i] + (1.0f - c.beta1) * g;
        float v1 = c.beta2 * v[i] + (1.0f - c.beta2) * g * g;
        m[i] = m1;
        v[i] = v1;
        float step = (m1 / c.correction1) / (sqrtf(v1 / c.correction2) + c.eps);
        param[i] = param[i] - decay * param[i] - c.learning_rate * step;
    }
}

void weir_adamw_update(const struct weir_adamw *a, int64_t n, float *param, const float *grad, float *m, float *v)
{
    adamw(a, n, param, grad, m, v);
}

WEIR_KERNEL static void sgd(float learning_rate, float weight_decay, float grad_scale, int64_t n, float *param,
                            const float *grad)
{
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++)
        param[i] = param[i] - learning_rate * (grad[i] * grad_scale + weight_decay * param[i]);
}

void weir_sgd_update(float learning_rate, float weight_decay, float grad_scale, int64_t n, float *param,
                     const float *grad)
{
    sgd(learning_rate, weight_decay, grad_scale, n, param, grad);
}

WEIR_KERNEL static void add(int64_t n, float *sum, const float *term)
{
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++)
        sum[i] += term[i];
}

void weir_vector_add(int64_t n, float *sum, const float *term)
{
    add(n, sum, term);
}

/* Four accumulators of 8 doubles; the rest of the last 32 elements is added one by one at the end. */
WEIR_KERNEL static double square_sum(int64_t n, const float *x)
{
    weir_d8 sum[4] = {{0}, {0}, {0}, {0}};
    int64_t i = 0;
    for (; i + 32 <= n; i += 32)
        for (int j = 0; j < 4; j++) {
            weir_f8 part;
            memcpy(&part, x + i + 8 * j, sizeof part);
            weir_d8 v = __builtin_convertvector(part, weir_d8);
            sum[j] += v * v;
        }
    sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    double total = ((sum[0][0] + sum[0][1]) + (sum[0][2] + sum[0][3])) +
                   ((sum[0][4] + sum[0][5]) + (sum[0][6] + sum[0][7]));
    for (; i < n; i++)
        total += (double)x[i] * (double)x[i];
    return total;
}

double weir_vector_square_sum(int64_t n, const float *x)
{
    return square_sum(n, x);
}
