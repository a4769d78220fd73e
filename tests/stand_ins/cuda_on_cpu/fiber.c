#include "fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#endif

#ifdef FIBER_ASAN
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack_save, const void **bottom_old, size_t *size_old);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#endif

static void first(struct weir_fiber *self);

/* ---- the switch itself --------------------------------------------------------------------------------------------- */

#if defined(__x86_64__) && defined(__linux__)

void weir_fiber_jump(void **save, void *load);
__asm__(".text\n"
        ".hidden weir_fiber_jump\n"
        ".globl weir_fiber_jump\n"
        ".type weir_fiber_jump,@function\n"
        "weir_fiber_jump:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    ret\n"
        ".size weir_fiber_jump,.-weir_fiber_jump\n"
        ".section .note.GNU-stack,\"\",@progbits\n"
        ".text\n");

/* First code on a new stack.  The fiber arrives in r12, its entry in r13: both are popped by the first jump. */
void weir_fiber_start(void);
__asm__(".text\n"
        ".hidden weir_fiber_start\n"
        ".globl weir_fiber_start\n"
        "weir_fiber_start:\n"
        "    movq %r12, %rdi\n"
        "    callq *%r13\n"
        "    ud2\n");

static bool context_make(struct weir_fiber *fiber)
{
    uintptr_t *top = (uintptr_t *)(void *)(fiber->memory + fiber->memory_bytes);
    *--top = 0; /* keeps the stack 16-byte aligned at the call in weir_fiber_start */
    *--top = 0;
    *--top = (uintptr_t)weir_fiber_start;
    *--top = 0;                /* rbp */
    *--top = 0;                /* rbx */
    *--top = (uintptr_t)fiber; /* r12 */
    *--top = (uintptr_t)first; /* r13 */
    *--top = 0;                /* r14 */
    *--top = 0;                /* r15 */
    fiber->sp = top;
    return true;
}

static void context_free(struct weir_fiber *fiber)
{
    (void)fiber;
}

static void context_switch(struct weir_fiber *from, struct weir_fiber *to)
{
    weir_fiber_jump(&from->sp, to->sp);
}

#else
#include <ucontext.h>

/* makecontext hands over ints: a pointer goes in two halves. */
static void start(unsigned high, unsigned low)
{
    first((struct weir_fiber *)(((uintptr_t)high << 16 << 16) | low));
}

static bool context_make(struct weir_fiber *fiber)
{
    ucontext_t *context = calloc(1, sizeof *context);
    if (!context || getcontext(context))
        return false;
    context->uc_stack.ss_sp = fiber->memory;
    context->uc_stack.ss_size = fiber->memory_bytes;
    makecontext(context, (void (*)(void))start, 2, (unsigned)((uintptr_t)fiber >> 16 >> 16), (unsigned)(uintptr_t)fiber);
    fiber->sp = context;
    return true;
}

static void context_free(struct weir_fiber *fiber)
{
    free(fiber->sp);
}

static void context_switch(struct weir_fiber *from, struct weir_fiber *to)
{
    ucontext_t here; /* lives on the stack that is left */
    if (!from->memory)
        from->sp = &here;
    swapcontext(from->sp, to->sp);
}
#endif

/* ---- fibers -------------------------------------------------------------------------------------------------------- */

/* The sanitizer learns the bounds of the stack that was left, which for the first fiber is the thread's own. */
static void arrived(struct weir_fiber *self)
{
#ifdef FIBER_ASAN
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(self->fake_stack, &bottom, &bytes);
    if (self->from && !self->from->bottom) {
        self->from->bottom = bottom;
        self->from->bytes = bytes;
    }
#else
    (void)self;
#endif
}

static void first(struct weir_fiber *self)
{
    arrived(self);
    self->entry(self->argument);
    abort(); /* entry switches away and does not return */
}

void weir_fiber_init(struct weir_fiber *fiber)
{
    *fiber = (struct weir_fiber){.sp = NULL};
}

bool weir_fiber_open(struct weir_fiber *fiber, size_t stack_bytes, void (*entry)(void *argument), void *argument)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (stack_bytes + page - 1) / page * page + page;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    if (mprotect(memory, page, PROT_NONE) != 0) {
        munmap(memory, bytes);
        return false;
    }
    *fiber = (struct weir_fiber){.memory = memory, .memory_bytes = bytes, .bottom = memory + page,
                                 .bytes = bytes - page, .entry = entry, .argument = argument};
    return context_make(fiber);
}

void weir_fiber_close(struct weir_fiber *fiber)
{
    if (!fiber->memory)
        return;
    context_free(fiber);
#ifdef FIBER_ASAN
    __asan_unpoison_memory_region(fiber->bottom, fiber->bytes);
#endif
    munmap(fiber->memory, fiber->memory_bytes);
    fiber->memory = NULL;
}

void weir_fiber_switch(struct weir_fiber *from, struct weir_fiber *to)
{
    to->from = from;
#ifdef FIBER_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->bytes);
#endif
    context_switch(from, to);
    arrived(from);
}
