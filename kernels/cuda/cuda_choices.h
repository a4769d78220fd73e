/* Algorithms of products that were measured beforehand: a table, so that a run never times anything.
 *
 * cuBLASLt's first guess is not always its fastest algorithm.  bench/gpu/bench_products.c times the candidates of each
 * product on a kind of device and prints rows for cuda_choices.c.  A row holds for one kind of device and one version of cuBLASLt: where
 * either differs the list of candidates may too, and the row is passed over. */
#ifndef WEIR_KERNELS_CUDA_CUDA_CHOICES_H
#define WEIR_KERNELS_CUDA_CUDA_CHOICES_H

#include "kernels/cuda/cuda_matmul.h"

struct weir_cuda_choice {
    const char *device; /* as the driver names it; NULL: the end of the table */
    uint64_t version;   /* cublasLtGetVersion() */
    bool tf32;
    struct weir_cuda_product product;
    int candidate; /* of those that cuBLASLt's check accepts, from 0 */
};

extern const struct weir_cuda_choice weir_cuda_choices[];

/* The candidate that the table names; -1: none. */
int weir_cuda_choice_find(const struct weir_cuda_choice *choices, const char *device, uint64_t version, bool tf32,
                          const struct weir_cuda_product *product);

#endif
