/* What a generator keeps between calls: a decoder over a runner.  The runner's main program is that of prompts, its guest
 * that of one token of every sample. */
#ifndef WEIR_ENGINE_GENERATE_GENERATOR_STATE_H
#define WEIR_ENGINE_GENERATE_GENERATOR_STATE_H

#include "include/weir/generate.h"
#include "engine/run/runner.h"

struct weir_generator {
    struct weir_runner runner;
    const struct weir_run *ran; /* whose results the logits are; NULL: none yet */
    int n_samples, result;      /* result: of all samples after a prompt, -1 after a token of each */
    int64_t chunk, context, vocabulary, position;
    int32_t *row;               /* [chunk]: tokens of a lane, then zeros */
    int cached_end;             /* nodes from here on change no cache */
};

/* Copy a program's configuration into this library's struct (base/grown.h).  WEIR_ERR_INVALID. */
weir_status weir_generator_config_take(const struct weir_generator_config *given, struct weir_generator_config *own);

/* The configuration is whole; the generator's sizes follow from its graphs. */
weir_status weir_generator_check(struct weir_generator *generator, const struct weir_generator_config *config);

/* What a checked configuration has built. */
void weir_generator_build_config(const struct weir_generator *generator, const struct weir_generator_config *given,
                                 struct weir_engine_config *config_out, struct weir_generation_params *params_out);

#endif
