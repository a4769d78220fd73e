#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "include/weir/weir.h"

weir_status weir_lr_schedule_find(const char *name, enum weir_lr_schedule *schedule_out)
{
    static const char *const names[] = {"constant", "cosine", NULL};
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], name)) {
            *schedule_out = (enum weir_lr_schedule)i;
            return WEIR_OK;
        }
    return weir_unknown("learning-rate schedule", name, names);
}

/* 2 after the warm-up, 0 at the last step. */
static double wave_at(int64_t warmup, int64_t step, int64_t n_steps)
{
    int64_t span = n_steps - 1 - warmup;
    double part = span > 0 ? (double)(step - warmup) / (double)span : 1;
    return 1 + cos(3.14159265358979323846 * (part < 1 ? part : 1));
}

double weir_learning_rate(enum weir_lr_schedule schedule, double lr, int64_t warmup, int64_t step, int64_t n_steps)
{
    if (step < warmup)
        return lr * (double)(step + 1) / (double)warmup;
    return schedule == WEIR_LR_CONSTANT ? lr : lr * (0.1 + 0.45 * wave_at(warmup, step, n_steps));
}

double weir_learning_rate_to(enum weir_lr_schedule schedule, double lr, double lowest, int64_t warmup, int64_t step,
                             int64_t n_steps)
{
    bool falls = schedule == WEIR_LR_COSINE && step >= warmup;
    return falls ? lowest + 0.5 * (lr - lowest) * wave_at(warmup, step, n_steps)
                 : weir_learning_rate(schedule, lr, warmup, step, n_steps);
}
