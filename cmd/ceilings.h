/* What this machine can do at most, measured now: the ceilings that rates are held against.
 *
 *     product   multiplications and additions per second of one matrix product of 1024 x 1024 x 1024, of f32 or bf16 factors
 *     triad     bytes per second of a[i] = b[i] + s c[i], two arrays read and one written (McCalpin, "STREAM", 1995)
 *     copy      bytes per second of memcpy, read and written ones both counted
 *
 * All are of one team of threads while the other teams do the same, since cores share memory, caches and power.
 *
 * The product is one that the linear row computes.  Where the processor has no bf16 products that are faster than those of floats
 * (weir_cpu_multiplies_bf16), that row widens bf16 factors and multiplies floats: there both products are measured, of bf16
 * factors and of f32 ones, and the faster is the ceiling. */
#ifndef WEIR_CMD_CEILINGS_H
#define WEIR_CMD_CEILINGS_H

#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "include/weir/op.h"

struct ceilings {
    double product, triad, copy;  /* per second */
    enum weir_dtype product_dtype; /* of the product's factors: F32 or BF16 */
};

/* Measure each for about `milliseconds`, the product of factors stored as `storage`, F32 or BF16.  Allocates 96 MiB per thread for
 * the time of the call.  WEIR_ERR_INTERNAL: a product was wrong.  WEIR_ERR_NOMEM. */
weir_status ceilings_measure(int n_teams, int n_threads, int milliseconds, enum weir_dtype storage, struct ceilings *out);

/* "f32 product 120.3 GFLOP/s, triad 20.1 GB/s, copy 18.7 GB/s" and a newline, to stdout. */
void ceilings_print(const struct ceilings *ceilings);

json_t *ceilings_json(const struct ceilings *ceilings);

#endif
