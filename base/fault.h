/* Faults on demand, in a build for tests (CMake option WEIR_FAULTS); elsewhere these functions are empty.
 *
 *     WEIR_FAULT=alloc:17            the 17th allocation of the process fails, Weir's own and jansson's counted together
 *     WEIR_FAULT=write:3:ENOSPC      the 3rd write (write and pwrite) fails so
 *     WEIR_FAULT=write:2:short       the 2nd write takes half of the bytes; so does read
 *     WEIR_FAULT=kill:call:9         SIGKILL before the 9th call of base/file_calls.h
 *     WEIR_FAULT=kill:instr:30       SIGKILL before the 30th instruction of step programs
 *
 * Operations: alloc open read write allocate truncate fsync close link rename unlink mkdir rmdir.  The reason is a name of
 * errno (ENOSPC EIO EINTR EMFILE EACCES ENOMEM EINVAL; EIO when it is left out).  A number with + behind it ("alloc:17+")
 * means every one from there on.
 *
 * WEIR_FAULT_LOG=PATH appends a line per call of base/file_calls.h when it returns, and at the exit of the process the
 * number of allocations and of instructions:
 *
 *     open "D/." = 5
 *     write 5 = 4096
 *     rename "D/a.tmp" "D/a" = 0
 *     allocations 812
 *     instructions 96
 *
 * Threads: counted across all of them, so of instructions that ranks run at the same time either may be the 30th. */
#ifndef WEIR_BASE_FAULT_H
#define WEIR_BASE_FAULT_H

#include <stdbool.h>
#include <stddef.h>

enum weir_fault_op {
    WEIR_FAULT_ALLOC,
    WEIR_FAULT_OPEN,
    WEIR_FAULT_READ,
    WEIR_FAULT_WRITE,
    WEIR_FAULT_ALLOCATE,
    WEIR_FAULT_TRUNCATE,
    WEIR_FAULT_FSYNC,
    WEIR_FAULT_CLOSE,
    WEIR_FAULT_LINK,
    WEIR_FAULT_RENAME,
    WEIR_FAULT_UNLINK,
    WEIR_FAULT_MKDIR,
    WEIR_FAULT_RMDIR,
    WEIR_FAULT_OPS
};

#ifdef WEIR_FAULTS

/* True: this call fails, and errno says why. */
bool weir_fault(enum weir_fault_op op);

/* As above for a call that moves `*bytes` bytes, of which it may have only half. */
bool weir_fault_part(enum weir_fault_op op, size_t *bytes);

/* An instruction of a step program begins. */
void weir_fault_instr(void);

/* Write a call and what came of it into the log: `fd` -1 and paths NULL where it has none.  Returns `result`; errno stays. */
long weir_fault_note(enum weir_fault_op op, int fd, const char *path, const char *to, long result);

#else

static inline bool weir_fault(enum weir_fault_op op)
{
    (void)op;
    return false;
}

static inline bool weir_fault_part(enum weir_fault_op op, size_t *bytes)
{
    (void)op, (void)bytes;
    return false;
}

static inline void weir_fault_instr(void)
{
}

static inline long weir_fault_note(enum weir_fault_op op, int fd, const char *path, const char *to, long result)
{
    (void)op, (void)fd, (void)path, (void)to;
    return result;
}

#endif
#endif
