/* A kind `cuda` of devices that are prompt: what is enqueued has happened when the call returns, on the thread that called.
 *
 * Its memory is the host's and its kernels are the CPU's, so that results are the CPU's to the bit.  Streams order nothing
 * here: between the ranks of two devices there is only the order of the threads that issue for them, and where that is
 * missing a kernel reads what is not there yet.  Everything is plain memory, which the thread sanitizer watches.
 *
 * Every call loses its turn now and then, by a number drawn from the seed; with seed 0 none does. */
#ifndef WEIR_TESTS_PROMPT_DEVICE_H
#define WEIR_TESTS_PROMPT_DEVICE_H

#include <stdint.h>

enum { PROMPT_DEVICES = 4 };

/* From now on: delays by this seed, and the k-th wait, record or copy (from 0, of all threads together) fails, and with
 * `all` everyone after it; k < 0: none.  Counts begin anew. */
void prompt_set(uint64_t seed, int64_t k, int all);
int64_t prompt_calls(void); /* waits, records and copies since then */

/* Threads that enqueued something to the device since then; -1: the only one was the caller of this function. */
int prompt_threads(int device);

/* Waits since then for an event that this run has not recorded.  The runs are what lies between two calls of
 * prompt_run_begin(). */
int prompt_early_waits(void);
void prompt_run_begin(void);

#endif
