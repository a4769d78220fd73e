/* What a generator keeps between calls. */
#ifndef WEIR_ENGINE_GENERATE_GENERATOR_STATE_H
#define WEIR_ENGINE_GENERATE_GENERATOR_STATE_H

#include "engine/generate/generator.h"
#include "engine/run/state.h"

struct weir_generator {
    weir_engine *engine;
    const struct weir_run_program *ran; /* whose results the logits are; NULL: none yet */
    int n_samples, result;              /* result: of all samples after a prompt, -1 after a token of each */
    int64_t chunk, context, vocabulary, position;
    int32_t *row;                       /* [chunk]: tokens of a lane, then zeros */
    int cached_end;                     /* nodes from here on change no cache */
};

#endif
