/* Which process is this?  A child after fork() has copies of objects whose threads, locks and connections stayed with its
 * parent: waiting for them never ends.  Whoever opens such an object remembers the process; its functions then tell a child
 * so, and closing does nothing there.
 *
 *     device->process = weir_process_number();
 *     ...
 *     return weir_process_check(device->process, "a device");
 *
 * A read of memory, no system call.  Threads: any. */
#ifndef WEIR_BASE_PROCESS_H
#define WEIR_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Another number in every child after fork(), and a greater one than in its parent. */
uint32_t weir_process_number(void);

static inline bool weir_process_is(uint32_t number)
{
    return number == weir_process_number();
}

/* WEIR_ERR_INVALID: `what` ("a device of the cpu") was opened before the fork() that made this process. */
weir_status weir_process_check(uint32_t number, const char *what);

#endif
