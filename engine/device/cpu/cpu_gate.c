#include "engine/device/cpu/cpu_device.h"

#include <errno.h>
#include <linux/futex.h>
#include <limits.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* A futex wake costs about as much as this; spinning for longer than a sleep would cost gains nothing. */
static const int64_t spin_ns = 30000;
enum { LOOKS_PER_CLOCK = 32 };

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool gate_spin(const struct weir_cpu_gate *gate, uint32_t target)
{
    int64_t end = weir_clock_ns() + spin_ns;
    do {
        for (int look = 0; look < LOOKS_PER_CLOCK; look++) {
            if (weir_cpu_gate_reached(gate, target))
                return true;
            pause_briefly();
        }
    } while (weir_clock_ns() < end);
    return false;
}

/* Sleep while the word is `seen`.  Returns early for any reason; false when the deadline has passed. */
static bool futex_sleep(_Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns)
{
    struct timespec left, *timeout = NULL;
    if (deadline_ns != WEIR_CPU_FOREVER) {
        int64_t ns = deadline_ns - weir_clock_ns();
        if (ns <= 0)
            return false;
        left = (struct timespec){ns / 1000000000, ns % 1000000000};
        timeout = &left;
    }
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, timeout, NULL, 0);
    return true;
}

void weir_cpu_gate_wake(struct weir_cpu_gate *gate)
{
    syscall(SYS_futex, &gate->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* edge: setter ─▶ sleeper.  The setter stores the value and then looks for sleepers; the sleeper announces itself and
 * then looks at the value.  Both in sequentially consistent order, so at least one sees the other. */
void weir_cpu_gate_set(struct weir_cpu_gate *gate, uint32_t value)
{
    atomic_store(&gate->value, value);
    if (atomic_load(&gate->n_sleepers))
        weir_cpu_gate_wake(gate);
}

bool weir_cpu_gate_wait(struct weir_cpu_gate *gate, uint32_t target, bool spin, int64_t deadline_ns)
{
    if (weir_cpu_gate_reached(gate, target) || (spin && gate_spin(gate, target)))
        return true;
    atomic_fetch_add(&gate->n_sleepers, 1);
    uint32_t seen = atomic_load(&gate->value);
    bool in_time = true;
    while (!weir_cpu_reached(seen, target) && in_time) {
        in_time = futex_sleep(&gate->value, seen, deadline_ns);
        seen = atomic_load(&gate->value);
    }
    atomic_fetch_sub(&gate->n_sleepers, 1);
    return weir_cpu_reached(seen, target);
}
