#include "tests/support/step_guard.h"

#include <stdio.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GUARD_ABSENT "a sanitizer has its own malloc and its own system calls"
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define GUARD_ABSENT "a sanitizer has its own malloc and its own system calls"
#endif
#endif
#if !defined(GUARD_ABSENT) && !(defined(__x86_64__) && defined(__GLIBC__))
#define GUARD_ABSENT "system calls are counted on x86-64 with glibc only"
#endif

#ifdef GUARD_ABSENT

bool testing_guard_available(void)
{
    printf("skipped: %s\n", GUARD_ABSENT);
    return false;
}

weir_status testing_guard_run(weir_status (*body)(void *argument), void *argument,
                              struct testing_guard_counts *counts_out)
{
    (void)body, (void)argument, (void)counts_out;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%s", GUARD_ABSENT);
}

void testing_guard_begin(void)
{
}

void testing_guard_end(void)
{
}

#else

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static _Atomic bool is_counting;
static _Atomic uint64_t n_system_calls, n_allocations;
static _Atomic int first_system_call = -1;
static bool has_filter;

bool testing_guard_available(void)
{
    return true;
}

/* ---- allocations ------------------------------------------------------------------------------------------------- */

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void *memalign(size_t alignment, size_t bytes);

static void allocation_count(void)
{
    if (atomic_load_explicit(&is_counting, memory_order_relaxed))
        atomic_fetch_add_explicit(&n_allocations, 1, memory_order_relaxed);
}

void *malloc(size_t bytes)
{
    allocation_count();
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t size)
{
    allocation_count();
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t bytes)
{
    allocation_count();
    return __libc_realloc(memory, bytes);
}

void *memalign(size_t alignment, size_t bytes)
{
    allocation_count();
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return memalign(alignment, bytes);
}

int posix_memalign(void **memory_out, size_t alignment, size_t bytes)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)))
        return EINVAL;
    void *memory = memalign(alignment, bytes);
    if (!memory)
        return ENOMEM;
    *memory_out = memory;
    return 0;
}

/* ---- system calls ------------------------------------------------------------------------------------------------ */

/* step_guard_call(number, six arguments) makes a system call from the one address that the filter lets through. */
long step_guard_call(long number, const long long *arguments);
extern const char step_guard_passage[];
__asm__(".text\n"
        ".globl step_guard_call, step_guard_passage\n"
        ".type step_guard_call, @function\n"
        "step_guard_call:\n"
        "    mov %rdi, %rax\n"
        "    mov %rsi, %r11\n"
        "    mov 0(%r11), %rdi\n"
        "    mov 8(%r11), %rsi\n"
        "    mov 16(%r11), %rdx\n"
        "    mov 24(%r11), %r10\n"
        "    mov 32(%r11), %r8\n"
        "    mov 40(%r11), %r9\n"
        "    syscall\n"
        "step_guard_passage:\n"
        "    ret\n"
        ".size step_guard_call, .-step_guard_call\n");

static bool starts_thread(int number)
{
    return number == SYS_clone || number == SYS_clone3 || number == SYS_fork || number == SYS_vfork;
}

/* Count the call, make it for the program, put its result where the program looks for it.  A new thread would begin on
 * this handler's frame: it is refused. */
static void trap(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    int none = -1;
    if (atomic_load_explicit(&is_counting, memory_order_relaxed)) {
        atomic_fetch_add(&n_system_calls, 1);
        atomic_compare_exchange_strong(&first_system_call, &none, info->si_syscall);
    }
    const long long arguments[6] = {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                                    registers[REG_R10], registers[REG_R8],  registers[REG_R9]};
    registers[REG_RAX] =
        starts_thread(info->si_syscall) ? -EAGAIN : step_guard_call(info->si_syscall, arguments);
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(value), 0, n)
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)

static bool filter_install(void)
{
    uintptr_t passage = (uintptr_t)step_guard_passage;
    struct sock_filter code[] = {
        LOAD(nr),
        SKIP_UNLESS(SYS_futex, 1),
        RETURN(SECCOMP_RET_ALLOW),
        SKIP_UNLESS(SYS_rt_sigreturn, 1), /* the way out of the trap */
        RETURN(SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, instruction_pointer)),
        SKIP_UNLESS(passage & 0xffffffffu, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, instruction_pointer) + 4),
        SKIP_UNLESS(passage >> 32, 1),
        RETURN(SECCOMP_RET_ALLOW),
        RETURN(SECCOMP_RET_TRAP),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    struct sigaction action = {.sa_sigaction = trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

void testing_guard_begin(void)
{
    if (!has_filter)
        has_filter = filter_install();
    atomic_store(&is_counting, true);
}

void testing_guard_end(void)
{
    atomic_store(&is_counting, false);
}

/* ---- the child --------------------------------------------------------------------------------------------------- */

struct report {
    weir_status status;
    char message[WEIR_ERROR_MAX];
    struct testing_guard_counts counts;
};

static void child_run(weir_status (*body)(void *argument), void *argument, struct report *report)
{
    report->status = body(argument);
    testing_guard_end();
    weir_error_take(report->message);
    report->counts.n_system_calls = n_system_calls;
    report->counts.n_allocations = n_allocations;
    report->counts.first_system_call = first_system_call;
    report->counts.saw_system_calls = has_filter;
    _exit(0);
}

/* The child's report lies in memory that both share. */
weir_status testing_guard_run(weir_status (*body)(void *argument), void *argument,
                              struct testing_guard_counts *counts_out)
{
    int ended = -1;
    struct report *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "cannot share memory with a child process: %s", strerror(errno));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        child_run(body, argument, shared);
    if (child > 0)
        waitpid(child, &ended, 0);
    struct report report = *shared;
    munmap(shared, sizeof *shared);
    if (ended != 0)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "the child process ended with wait status %d", ended);
    *counts_out = report.counts;
    weir_error_put(report.message);
    return report.status;
}

#endif
