/* What a generator keeps between calls: a decoder over a runner.  The runner's main program is that of prompts, its guest
 * that of one token of every sample. */
#ifndef WEIR_ENGINE_GENERATE_GENERATOR_STATE_H
#define WEIR_ENGINE_GENERATE_GENERATOR_STATE_H

#include "engine/generate/generator.h"
#include "engine/run/runner.h"

struct weir_generator {
    struct weir_runner runner;
    const struct weir_run *ran; /* whose results the logits are; NULL: none yet */
    int n_samples, result;      /* result: of all samples after a prompt, -1 after a token of each */
    int64_t chunk, context, vocabulary, position;
    int32_t *row;               /* [chunk]: tokens of a lane, then zeros */
    int cached_end;             /* nodes from here on change no cache */
};

#endif
