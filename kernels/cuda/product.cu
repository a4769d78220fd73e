/* Products without a library, and a bias added to rows: what cuda_matmul.c falls back to.  One thread per element, k in
 * ascending order. */
#include "kernels/cuda/cuda_launch.cuh"

template <typename T, typename R>
__global__ static void product_kernel(weir_cuda_product p, const T *a, const T *b, const T *bias, const R *addend, R *c)
{
    int64_t a_row = p.transpose_a ? 1 : p.k, a_step = p.transpose_a ? p.m : 1;
    int64_t b_column = p.transpose_b ? p.k : 1, b_step = p.transpose_b ? 1 : p.n;
    for (int64_t i = weir_thread_first(); i < p.m * p.n; i += weir_thread_stride()) {
        int64_t row = i / p.n, column = i % p.n;
        float sum = 0;
        for (int64_t q = 0; q < p.k; q++)
            sum += weir_get(a, row * a_row + q * a_step) * weir_get(b, column * b_column + q * b_step);
        if (p.bias)
            sum += weir_get(bias, column);
        weir_put(c, i, weir_addend(addend, i) + sum);
    }
}

template <typename T, typename R>
static weir_status product_launch(const weir_cuda_product *p, const weir_cuda_operands *o, void *stream)
{
    return weir_launch("product_plain", product_kernel<T, R>, weir_blocks(p->m * p->n, WEIR_THREADS), WEIR_THREADS, stream,
                       *p, (const T *)o->a, (const T *)o->b, (const T *)o->bias, (const R *)(p->add ? o->addend : NULL),
                       (R *)o->c);
}

extern "C" weir_status weir_launch_product(const struct weir_cuda_product *p, const struct weir_cuda_operands *operands,
                                           void *stream)
{
    if (p->type != WEIR_DTYPE_BF16)
        return product_launch<float, float>(p, operands, stream);
    return p->result_type == WEIR_DTYPE_BF16 ? product_launch<weir_bf16, weir_bf16>(p, operands, stream)
                                             : product_launch<weir_bf16, float>(p, operands, stream);
}

template <typename T> __global__ static void row_bias_kernel(int64_t n, int64_t columns, const T *bias, T *y)
{
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride())
        weir_put(y, i, weir_get(y, i) + weir_get(bias, i % columns));
}

template <typename T> static weir_status row_bias_launch(int64_t rows, int64_t columns, const void *bias, void *y, void *stream)
{
    return WEIR_LAUNCH(row_bias_kernel<T>, weir_blocks(rows * columns, WEIR_THREADS), WEIR_THREADS, stream, rows * columns,
                       columns, (const T *)bias, (T *)y);
}

extern "C" weir_status weir_launch_row_bias(enum weir_dtype type, int64_t rows, int64_t columns, const void *bias, void *y,
                                            void *stream)
{
    return type == WEIR_DTYPE_BF16 ? row_bias_launch<weir_bf16>(rows, columns, bias, y, stream)
                                   : row_bias_launch<float>(rows, columns, bias, y, stream);
}
