/* What the rules for updates make of every parameter. */
#ifndef WEIR_ENGINE_PROGRAM_UPDATE_SCALES_H
#define WEIR_ENGINE_PROGRAM_UPDATE_SCALES_H

#include "include/weir/weir.h"
#include "kernels/vector.h"

/* [n_params], in `arena`.  WEIR_ERR_USAGE: a rule that is first for no parameter, or whose factors are negative or not finite. */
weir_status weir_update_scales_make(const struct weir_engine_config *config, struct weir_arena *arena,
                                    const struct weir_update_scale **scales_out);

#endif
