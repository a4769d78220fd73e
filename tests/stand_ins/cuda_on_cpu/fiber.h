/* Fibers: stacks that hand the processor to each other, and tell the address sanitizer so.
 *
 *     weir_fiber_init(&main)                 what runs now
 *     weir_fiber_open(&fiber, entry, bytes)  a stack of its own; entry(argument) starts at the first switch to it
 *     weir_fiber_switch(&main, &fiber)       on, until somebody switches back to main
 *
 * On x86-64 a switch is ten instructions; elsewhere it is swapcontext, which is slow. */
#ifndef WEIR_TESTS_FIBER_H
#define WEIR_TESTS_FIBER_H

#include <stdbool.h>
#include <stddef.h>

struct weir_fiber {
    void *sp;     /* x86-64: where its registers lie; elsewhere its ucontext_t */
    char *memory; /* of the stack, guard page below; NULL: the thread's own stack */
    size_t memory_bytes;
    const void *bottom; /* of the stack, for the sanitizer */
    size_t bytes;
    void *fake_stack;
    void (*entry)(void *argument);
    void *argument;
    struct weir_fiber *from; /* who switched to it */
};

void weir_fiber_init(struct weir_fiber *fiber);
bool weir_fiber_open(struct weir_fiber *fiber, size_t stack_bytes, void (*entry)(void *argument), void *argument);
void weir_fiber_close(struct weir_fiber *fiber);
void weir_fiber_switch(struct weir_fiber *from, struct weir_fiber *to);

#endif
