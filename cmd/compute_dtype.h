/* --dtype of commands that compute: f32, tf32 or bf16, or what other tools call them. */
#ifndef WEIR_CMD_COMPUTE_DTYPE_H
#define WEIR_CMD_COMPUTE_DTYPE_H

#include <stdbool.h>

#include "include/weir/weir.h"

extern const char *const compute_dtypes[]; /* by enum weir_compute; NULL ends them */

/* The dtype that `word` means.  WEIR_ERR_USAGE: there is no such dtype (with a suggestion), or on_cpu and it is tf32, which only
 * cuda has. */
weir_status compute_dtype_read(const char *word, bool on_cpu, enum weir_compute *dtype_out);

#endif
