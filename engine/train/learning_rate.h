/* Learning-rate schedules.
 *
 *     constant   lr, after a linear warm-up from lr / W over the first W steps
 *     cosine     the same warm-up, then down to lr / 10 at the last step along half a cosine
 *                (Loshchilov, Hutter, "SGDR", 2017, eq. 5, with one period) */
#ifndef WEIR_ENGINE_TRAIN_LEARNING_RATE_H
#define WEIR_ENGINE_TRAIN_LEARNING_RATE_H

#include <stdint.h>

#include "base/status.h"

enum weir_lr_schedule { WEIR_LR_CONSTANT, WEIR_LR_COSINE };

#ifdef __cplusplus
extern "C" {
#endif

/* "constant" or "cosine".  WEIR_ERR_USAGE, with a suggestion. */
weir_status weir_lr_schedule_find(const char *name, enum weir_lr_schedule *schedule_out);

/* The rate of step `step` (from 0) of `n_steps`, with `warmup` warm-up steps. */
double weir_learning_rate(enum weir_lr_schedule schedule, double lr, int64_t warmup, int64_t step, int64_t n_steps);

/* The same, with a cosine that ends at `lowest` instead of lr / 10. */
double weir_learning_rate_to(enum weir_lr_schedule schedule, double lr, double lowest, int64_t warmup, int64_t step,
                             int64_t n_steps);

#ifdef __cplusplus
}
#endif

#endif
