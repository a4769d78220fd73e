/* Flags: numbers in shared memory, spun on or slept on. */
#include "engine/transport/mpi/mpi_parts.h"

#include <limits.h>
#include <linux/futex.h>
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

/* edge: setter ─▶ sleeper.  The setter stores the value and then looks for sleepers; the sleeper announces itself and
 * then looks at the value.  Both in sequentially consistent order, so at least one sees the other. */
void weir_mpi_flag_set(struct weir_mpi_flag *flag, uint32_t value)
{
    atomic_store(&flag->value, value);
    if (atomic_load(&flag->n_sleepers)) /* not FUTEX_PRIVATE: the sleeper is in another process */
        syscall(SYS_futex, &flag->value, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

bool weir_mpi_flag_spin(const struct weir_mpi_flag *flag, uint32_t target)
{
    int64_t end = weir_clock_ns() + spin_ns;
    do {
        for (int look = 0; look < LOOKS_PER_CLOCK; look++) {
            if (weir_mpi_flag_reached(flag, target))
                return true;
            pause_briefly();
        }
    } while (weir_clock_ns() < end);
    return false;
}

bool weir_mpi_flag_sleep(struct weir_mpi_flag *flag, uint32_t target, int64_t ns)
{
    struct timespec timeout = {ns / 1000000000, ns % 1000000000};
    atomic_fetch_add(&flag->n_sleepers, 1);
    uint32_t seen = atomic_load(&flag->value);
    if ((int32_t)(seen - target) < 0)
        syscall(SYS_futex, &flag->value, FUTEX_WAIT, seen, &timeout, NULL, 0);
    atomic_fetch_sub(&flag->n_sleepers, 1);
    return weir_mpi_flag_reached(flag, target);
}
