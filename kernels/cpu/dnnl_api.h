/* The parts of oneDNN's C API that changed from 2.x (descriptors by value) to 3.x (opaque descriptors).
 *
 * Everything else that matmul_dnnl.c calls has the same form in both. */
#ifndef WEIR_KERNELS_CPU_DNNL_API_H
#define WEIR_KERNELS_CPU_DNNL_API_H

#include <dnnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Description of a matrix in row-major memory whose rows begin `stride` elements apart; `transposed`: it holds the transpose. */
typedef dnnl_memory_desc_t weir_dnnl_matrix;

/* Is the description one of the implementations whose names begin so?  NULL: it is, whatever its name. */
static inline bool weir_dnnl_is(const_dnnl_primitive_desc_t pd, const char *implementation)
{
    const char *name = NULL;
    return !implementation || (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success && name &&
                               !strncmp(name, implementation, strlen(implementation)));
}

#if DNNL_VERSION_MAJOR >= 3

static inline dnnl_status_t weir_dnnl_matrix_make(weir_dnnl_matrix *d, int64_t rows, int64_t columns, int64_t stride,
                                                  bool transposed, dnnl_data_type_t type)
{
    const dnnl_dims_t dims = {rows, columns}, strides = {transposed ? 1 : stride, transposed ? stride : 1};
    return dnnl_memory_desc_create_with_strides(d, 2, dims, type, strides);
}

static inline void weir_dnnl_matrix_release(weir_dnnl_matrix d)
{
    dnnl_memory_desc_destroy(d);
}

/* The library's first choice of those implementations, or of all where it has none of them for this product. */
static inline dnnl_status_t weir_dnnl_matmul_describe(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                      weir_dnnl_matrix a, weir_dnnl_matrix b,
                                                      const weir_dnnl_matrix *bias, weir_dnnl_matrix c,
                                                      dnnl_primitive_attr_t attr, const char *implementation)
{
    dnnl_status_t status = dnnl_matmul_primitive_desc_create(out, engine, a, b, bias ? *bias : NULL, c, attr);
    while (status == dnnl_success && !weir_dnnl_is(*out, implementation))
        if (dnnl_primitive_desc_next_impl(*out) != dnnl_success) {
            dnnl_primitive_desc_destroy(*out);
            return weir_dnnl_matmul_describe(out, engine, a, b, bias, c, attr, NULL);
        }
    return status;
}

static inline dnnl_status_t weir_dnnl_append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
}

static inline dnnl_status_t weir_dnnl_matrix_any(weir_dnnl_matrix *d, int64_t rows, int64_t columns, dnnl_data_type_t type)
{
    const dnnl_dims_t dims = {rows, columns};
    return dnnl_memory_desc_create_with_tag(d, 2, dims, type, dnnl_format_tag_any);
}

static inline dnnl_status_t weir_dnnl_weights_of(const_dnnl_primitive_desc_t pd, weir_dnnl_matrix *d)
{
    return dnnl_memory_desc_clone(d, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
}

static inline bool weir_dnnl_matrices_equal(weir_dnnl_matrix a, weir_dnnl_matrix b)
{
    return dnnl_memory_desc_equal(a, b);
}

static inline size_t weir_dnnl_matrix_bytes(weir_dnnl_matrix d)
{
    return dnnl_memory_desc_get_size(d);
}

static inline dnnl_status_t weir_dnnl_matrix_memory(dnnl_memory_t *out, weir_dnnl_matrix d, dnnl_engine_t engine)
{
    return dnnl_memory_create(out, d, engine, DNNL_MEMORY_NONE);
}

static inline dnnl_status_t weir_dnnl_reorder_describe(dnnl_primitive_desc_t *out, dnnl_engine_t engine, weir_dnnl_matrix from,
                                                       weir_dnnl_matrix to)
{
    return dnnl_reorder_primitive_desc_create(out, from, engine, to, engine, NULL);
}

#else

static inline dnnl_status_t weir_dnnl_matrix_make(weir_dnnl_matrix *d, int64_t rows, int64_t columns, int64_t stride,
                                                  bool transposed, dnnl_data_type_t type)
{
    const dnnl_dims_t dims = {rows, columns}, strides = {transposed ? 1 : stride, transposed ? stride : 1};
    return dnnl_memory_desc_init_by_strides(d, 2, dims, type, strides);
}

static inline void weir_dnnl_matrix_release(weir_dnnl_matrix d)
{
    (void)d;
}

static inline dnnl_status_t weir_dnnl_matmul_describe(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                      weir_dnnl_matrix a, weir_dnnl_matrix b,
                                                      const weir_dnnl_matrix *bias, weir_dnnl_matrix c,
                                                      dnnl_primitive_attr_t attr, const char *implementation)
{
    dnnl_matmul_desc_t d;
    dnnl_primitive_desc_iterator_t all;
    dnnl_status_t status = dnnl_matmul_desc_init(&d, &a, &b, bias, &c);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_iterator_create(&all, &d, attr, engine, NULL);
    if (status != dnnl_success)
        return status;
    for (*out = NULL; status == dnnl_success && !*out;) {
        *out = dnnl_primitive_desc_iterator_fetch(all);
        if (!*out) {
            status = dnnl_out_of_memory;
        } else if (!weir_dnnl_is(*out, implementation)) {
            dnnl_primitive_desc_destroy(*out);
            *out = NULL;
            status = dnnl_primitive_desc_iterator_next(all);
        }
    }
    dnnl_primitive_desc_iterator_destroy(all);
    if (status == dnnl_iterator_ends)
        return weir_dnnl_matmul_describe(out, engine, a, b, bias, c, attr, NULL);
    return status;
}

static inline dnnl_status_t weir_dnnl_append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0f);
}

static inline dnnl_status_t weir_dnnl_matrix_any(weir_dnnl_matrix *d, int64_t rows, int64_t columns, dnnl_data_type_t type)
{
    const dnnl_dims_t dims = {rows, columns};
    return dnnl_memory_desc_init_by_tag(d, 2, dims, type, dnnl_format_tag_any);
}

static inline dnnl_status_t weir_dnnl_weights_of(const_dnnl_primitive_desc_t pd, weir_dnnl_matrix *d)
{
    *d = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    return dnnl_success;
}

static inline bool weir_dnnl_matrices_equal(weir_dnnl_matrix a, weir_dnnl_matrix b)
{
    return dnnl_memory_desc_equal(&a, &b);
}

static inline size_t weir_dnnl_matrix_bytes(weir_dnnl_matrix d)
{
    return dnnl_memory_desc_get_size(&d);
}

static inline dnnl_status_t weir_dnnl_matrix_memory(dnnl_memory_t *out, weir_dnnl_matrix d, dnnl_engine_t engine)
{
    return dnnl_memory_create(out, &d, engine, DNNL_MEMORY_NONE);
}

static inline dnnl_status_t weir_dnnl_reorder_describe(dnnl_primitive_desc_t *out, dnnl_engine_t engine, weir_dnnl_matrix from,
                                                       weir_dnnl_matrix to)
{
    return dnnl_reorder_primitive_desc_create(out, &from, engine, &to, engine, NULL);
}

#endif

#endif
