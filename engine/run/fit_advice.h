/* Does a compiled run fit?  And if not, what would?
 *
 * A refusal names the rank, its stages, the bytes and the cap, and then only options that were compiled and found to fit:
 * for each of recomputation, more stages, smaller micro-batches and another schedule the first value that does.  Where
 * none does alone, each is tried together with --recompute full.  A generator brings an advice of its own. */
#ifndef WEIR_ENGINE_RUN_FIT_ADVICE_H
#define WEIR_ENGINE_RUN_FIT_ADVICE_H

#include "base/text.h"
#include "engine/run/state.h"

/* `engine` is compiled and its config has the cap; `free_bytes` is what the device has for all ranks together.
 * WEIR_ERR_NOFIT with the advice. */
weir_status weir_fit_check(const struct weir_engine *engine, size_t free_bytes);

/* Append to `text` what makes every rank take at most `rank_cap` bytes of its device, on as many ranks as now: "it fits with
 * --recompute full, or with --microbatch-size 2", or that nothing does.  text->status: WEIR_ERR_NOMEM. */
void weir_fit_advise(const struct weir_engine *engine, size_t rank_cap, struct weir_text *text);

#endif
