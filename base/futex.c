#include "base/futex.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* A futex wake costs about as much as this; spinning for longer than a sleep would cost gains nothing. */
static const int64_t spin_ns = 30000;
enum { LOOKS_PER_CLOCK = 32, NS_PER_S = 1000000000 };

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int flag_of(enum weir_futex_scope scope)
{
    return scope == WEIR_FUTEX_THREADS ? FUTEX_PRIVATE_FLAG : 0;
}

void weir_futex_init(struct weir_futex *futex, uint32_t value)
{
    atomic_init(&futex->value, value);
    atomic_init(&futex->n_sleepers, 0);
}

void weir_futex_wake(struct weir_futex *futex, enum weir_futex_scope scope)
{
    syscall(SYS_futex, &futex->value, FUTEX_WAKE | flag_of(scope), INT_MAX, NULL, NULL, 0);
}

void weir_futex_set(struct weir_futex *futex, uint32_t value, enum weir_futex_scope scope)
{
    atomic_store(&futex->value, value);
    if (atomic_load(&futex->n_sleepers))
        weir_futex_wake(futex, scope);
}

bool weir_futex_spin(const struct weir_futex *futex, uint32_t target)
{
    int64_t end = weir_clock_ns() + spin_ns;
    do {
        for (int look = 0; look < LOOKS_PER_CLOCK; look++) {
            if (weir_futex_reached(futex, target))
                return true;
            pause_briefly();
        }
    } while (weir_clock_ns() < end);
    return false;
}

bool weir_futex_sleep(struct weir_futex *futex, uint32_t target, int64_t ns, enum weir_futex_scope scope)
{
    struct timespec timeout = {ns / NS_PER_S, ns % NS_PER_S};
    atomic_fetch_add(&futex->n_sleepers, 1);
    uint32_t seen = atomic_load(&futex->value);
    if (!weir_futex_passed(seen, target))
        syscall(SYS_futex, &futex->value, FUTEX_WAIT | flag_of(scope), seen, ns == WEIR_FUTEX_FOREVER ? NULL : &timeout,
                NULL, 0);
    atomic_fetch_sub(&futex->n_sleepers, 1);
    return weir_futex_reached(futex, target);
}

bool weir_futex_wait(struct weir_futex *futex, uint32_t target, bool spin, int64_t deadline_ns,
                     enum weir_futex_scope scope)
{
    bool reached = weir_futex_reached(futex, target) || (spin && weir_futex_spin(futex, target));
    while (!reached) {
        int64_t left = deadline_ns == WEIR_FUTEX_FOREVER ? WEIR_FUTEX_FOREVER : deadline_ns - weir_clock_ns();
        if (left <= 0)
            return false;
        reached = weir_futex_sleep(futex, target, left, scope);
    }
    return true;
}
