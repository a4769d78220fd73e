/* Time: nanoseconds of the monotonic clock (read in user space, no system call). */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stdint.h>

int64_t weir_clock_ns(void);

#endif
