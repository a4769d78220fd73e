/* What this machine can do at most, measured now: the ceilings that rates are held against.
 *
 *     product   multiplications and additions per second of one matrix product of 1024 x 1024 x 1024, f32
 *     triad     bytes per second of a[i] = b[i] + s c[i], two arrays read and one written (McCalpin, "STREAM", 1995)
 *     copy      bytes per second of memcpy, read and written ones both counted
 *
 * All are of one team of threads while the other teams do the same, since cores share memory, caches and power. */
#ifndef WEIR_CMD_CEILINGS_H
#define WEIR_CMD_CEILINGS_H

#include <stdint.h>

#include "base/json.h"
#include "base/status.h"

struct ceilings {
    double product, triad, copy; /* per second */
};

/* Measure each for about `milliseconds`.  Allocates 96 MiB per thread for the time of the call.  WEIR_ERR_INTERNAL: a product
 * was wrong.  WEIR_ERR_NOMEM. */
weir_status ceilings_measure(int n_teams, int n_threads, int milliseconds, struct ceilings *out);

json_t *ceilings_json(const struct ceilings *ceilings);

#endif
