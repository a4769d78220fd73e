/* weir plan --model: how these devices train this model fastest (include/weir/plan.h). */
#ifndef WEIR_CMD_PLAN_MODEL_H
#define WEIR_CMD_PLAN_MODEL_H

#include "cmd/plan_options.h"

/* Search, print, and with -o write the best plan.  WEIR_ERR_NOFIT: nothing fits; the message says what would. */
weir_status plan_model_run(const struct plan_options *options);

#endif
