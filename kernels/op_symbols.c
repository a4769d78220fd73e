/* The inline functions of include/weir/op.h as symbols, for Python, Rust and whoever else reads no header.
 *
 * While the header is read they have other names, so that the functions below can have their own. */
#define weir_shape_elements inline_shape_elements
#define weir_dtype_bytes inline_dtype_bytes
#define weir_shape_bytes inline_shape_bytes
#define weir_tensor_view inline_tensor_view
#define weir_tensor_elements inline_tensor_elements
#define weir_needs_input inline_needs_input
#include "include/weir/op.h"
#undef weir_shape_elements
#undef weir_dtype_bytes
#undef weir_shape_bytes
#undef weir_tensor_view
#undef weir_tensor_elements
#undef weir_needs_input

#pragma GCC visibility push(default)
int64_t weir_shape_elements(const struct weir_shape *shape);
size_t weir_dtype_bytes(enum weir_dtype dtype);
size_t weir_shape_bytes(const struct weir_shape *shape);
struct weir_tensor weir_tensor_view(void *data, struct weir_shape *shape);
int64_t weir_tensor_elements(const struct weir_tensor *tensor);
unsigned weir_needs_input(int i);
#pragma GCC visibility pop

int64_t weir_shape_elements(const struct weir_shape *shape)
{
    return inline_shape_elements(shape);
}

size_t weir_dtype_bytes(enum weir_dtype dtype)
{
    return inline_dtype_bytes(dtype);
}

size_t weir_shape_bytes(const struct weir_shape *shape)
{
    return inline_shape_bytes(shape);
}

struct weir_tensor weir_tensor_view(void *data, struct weir_shape *shape)
{
    return inline_tensor_view(data, shape);
}

int64_t weir_tensor_elements(const struct weir_tensor *tensor)
{
    return inline_tensor_elements(tensor);
}

unsigned weir_needs_input(int i)
{
    return inline_needs_input(i);
}
