/* Which layers to recompute, so that enough bytes are saved in the least time.
 *
 * A 0/1 knapsack, solved exactly: equal offers are counted together, which is what makes transformers easy, and the numbers taken
 * of each kind are tried depth first, cut off by the time of the best choice and by what the rest can save at most. */
#ifndef WEIR_ENGINE_PROGRAM_RECOMPUTE_CHOICE_H
#define WEIR_ENGINE_PROGRAM_RECOMPUTE_CHOICE_H

#include <stdbool.h>

/* Offer i takes time[i] and saves saved[i] bytes, both >= 0.  chosen_out[i] says whether it is taken; their bytes are at least
 * `need` and their time is the least there is.  false: all together do not save so much; nothing is chosen then. */
bool weir_recompute_choose(const double *time, const double *saved, int n, double need, bool *chosen_out);

#endif
