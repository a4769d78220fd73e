/* Step guard: what a program asks of the kernel and of the heap between two points in time, on all its threads.
 *
 * The engine promises that a step allocates nothing and makes no system call but futex.  A test proves it so:
 *
 *     static weir_status body(void *argument)              runs in a child process of its own
 *     {
 *         open, warm up;
 *         testing_guard_begin();
 *         a few steps;
 *         testing_guard_end();
 *         return WEIR_OK;                                   the child ends here; nothing need be closed
 *     }
 *
 *     testing_guard_run(body, argument, &counts);           in the test
 *     assert_int_equal(counts.n_system_calls, 0);
 *
 * System calls are counted by a seccomp filter on all threads that lets futex pass and traps the others; the trap counts
 * the call and then makes it, so the program goes on as if nothing were there.  A filter can never be taken off again:
 * that is why the body has a process of its own.  No threads may be started after testing_guard_begin().
 *
 * Allocations are counted by malloc and its relatives, which this object defines for the whole program that links it;
 * outside begin and end they only pass on. */
#ifndef WEIR_STEP_GUARD_H
#define WEIR_STEP_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct testing_guard_counts {
    uint64_t n_system_calls; /* other than futex */
    uint64_t n_allocations;
    int first_system_call;   /* number of the first one, -1: none */
    bool saw_system_calls;   /* false: this machine allows no filter, n_system_calls means nothing */
};

/* false, with the reason printed, in builds that cannot count: sanitizers, other processors than x86-64. */
bool testing_guard_available(void);

/* Run `body` in a child process and bring back its status, its message and the counts. */
weir_status testing_guard_run(weir_status (*body)(void *argument), void *argument,
                              struct testing_guard_counts *counts_out);

/* In the body.  Several pairs add up. */
void testing_guard_begin(void);
void testing_guard_end(void);

#endif
