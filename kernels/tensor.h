/* Tensors as kernels see them: a view of memory with a shape.
 *
 * The layout of struct weir_tensor is that of DLPack's DLTensor (ABI of versions 0.6 to 1.x), so that a pointer to one
 * can be handed to any DLPack consumer and back.  Weir's own tensors are compact and row-major: strides is NULL and
 * byte_offset 0.  Shapes are written with the slowest dimension first, e.g. (B, T, C). */
#ifndef WEIR_KERNELS_TENSOR_H
#define WEIR_KERNELS_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_dtype { WEIR_DTYPE_F32, WEIR_DTYPE_F64, WEIR_DTYPE_I32, WEIR_DTYPE_U8, WEIR_DTYPE_BF16 };

enum { WEIR_DEVICE_TYPE_CPU = 1, WEIR_DEVICE_TYPE_CUDA = 2 }; /* DLPack's kDLCPU, kDLCUDA */

enum { WEIR_MAX_DIMS = 4 };

struct weir_shape {
    int n_dims; /* 0..WEIR_MAX_DIMS */
    int64_t dims[WEIR_MAX_DIMS];
    enum weir_dtype dtype;
};

struct weir_tensor {
    void *data;
    int32_t device_type; /* WEIR_DEVICE_TYPE_CPU ... */
    int32_t device_id;
    int32_t n_dims;
    uint8_t code; /* DLPack: 0 int, 1 unsigned int, 2 float, 4 bfloat */
    uint8_t bits;
    uint16_t lanes; /* 1 */
    int64_t *shape; /* [n_dims] */
    int64_t *strides; /* NULL: compact, row-major */
    uint64_t byte_offset;
};

/* INT64_MAX when the product does not fit: the graph builder refuses such shapes. */
static inline int64_t weir_shape_elements(const struct weir_shape *shape)
{
    int64_t n = 1;
    for (int i = 0; i < shape->n_dims; i++)
        if (__builtin_mul_overflow(n, shape->dims[i], &n))
            return INT64_MAX;
    return n;
}

static inline size_t weir_dtype_bytes(enum weir_dtype dtype)
{
    return dtype == WEIR_DTYPE_F64 ? 8 : dtype == WEIR_DTYPE_U8 ? 1 : dtype == WEIR_DTYPE_BF16 ? 2 : 4;
}

static inline size_t weir_shape_bytes(const struct weir_shape *shape)
{
    size_t bytes;
    bool fits = !__builtin_mul_overflow((size_t)weir_shape_elements(shape), weir_dtype_bytes(shape->dtype), &bytes);
    return fits ? bytes : SIZE_MAX;
}

/* A view of `data` with the shape of `shape`, whose dims the view points to: `shape` must outlive it. */
static inline struct weir_tensor weir_tensor_view(void *data, struct weir_shape *shape)
{
    static const uint8_t codes[] = {2, 2, 0, 1, 4};
    struct weir_tensor t = {data, WEIR_DEVICE_TYPE_CPU, 0, shape->n_dims, codes[shape->dtype],
                            (uint8_t)(8 * weir_dtype_bytes(shape->dtype)), 1, shape->dims, NULL, 0};
    return t;
}

static inline int64_t weir_tensor_elements(const struct weir_tensor *tensor)
{
    int64_t n = 1;
    for (int i = 0; i < tensor->n_dims; i++)
        n *= tensor->shape[i];
    return n;
}

#endif
