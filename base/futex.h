/* A number that only grows and is awaited: read and spun on in user space, slept on as a futex.
 *
 * Setting it costs no system call while nobody sleeps on it.  Comparisons are right across the wrap of 32 bits while the two
 * numbers are less than 2^31 apart.  One setter at a time, any number of waiters.
 *
 *     setter    stores the value, then looks for sleepers        both in sequentially consistent order,
 *     sleeper   announces itself, then looks at the value        so that at least one sees the other */
#ifndef WEIR_BASE_FUTEX_H
#define WEIR_BASE_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct weir_futex {
    _Atomic uint32_t value;
    _Atomic uint32_t n_sleepers; /* threads about to sleep or asleep on it */
};

/* Who waits: threads of this process only, which costs the kernel less, or whoever maps the memory. */
enum weir_futex_scope { WEIR_FUTEX_THREADS, WEIR_FUTEX_PROCESSES };

#define WEIR_FUTEX_FOREVER INT64_MAX /* a deadline that never comes */

static inline bool weir_futex_passed(uint32_t value, uint32_t target)
{
    return (int32_t)(value - target) >= 0;
}

/* edge: setter ─▶ waiter: what was written before the value was set */
static inline bool weir_futex_reached(const struct weir_futex *futex, uint32_t target)
{
    return weir_futex_passed(atomic_load_explicit(&futex->value, memory_order_acquire), target);
}

void weir_futex_init(struct weir_futex *futex, uint32_t value);

/* Set the value and wake the sleepers if there are any. */
void weir_futex_set(struct weir_futex *futex, uint32_t value, enum weir_futex_scope scope);
void weir_futex_wake(struct weir_futex *futex, enum weir_futex_scope scope);

/* For some microseconds, about as long as a wake costs; was it reached? */
bool weir_futex_spin(const struct weir_futex *futex, uint32_t target);

/* Sleep for `ns` at most, or until somebody wakes the sleepers; was it reached? */
bool weir_futex_sleep(struct weir_futex *futex, uint32_t target, int64_t ns, enum weir_futex_scope scope);

/* Wait: at once, by spinning when `spin`, then asleep.  false: the deadline (of weir_clock_ns) passed before. */
bool weir_futex_wait(struct weir_futex *futex, uint32_t target, bool spin, int64_t deadline_ns,
                     enum weir_futex_scope scope);

#endif
