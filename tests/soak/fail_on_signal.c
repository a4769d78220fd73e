/* Preloaded into a run by failures.py: failures that no plain signal makes, asked for by real-time signals.
 *
 *     SIGRTMIN + 5    leave: _exit(0)
 *     SIGRTMIN + 6    the thread that gets it never returns from what it computes; says so with an empty file
 *                     $FAIL_ON_SIGNAL.PID.  A thread that sleeps in a system call goes on: the sender asks again. */
#define _GNU_SOURCE /* REG_RIP */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

static uintptr_t code_start, code_end; /* of the C library: who is there waits, as a rule */
static char marker[4096];

static void leave(int number)
{
    (void)number;
    _exit(0);
}

static void get_stuck(int number, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    (void)number;
    (void)info;
    if (at >= code_start && at < code_end)
        return;
    int file = open(marker, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (file >= 0)
        close(file);
    for (volatile int i = 0;; i++)
        ;
}

/* Threads that block all signals get ours. */
int pthread_sigmask(int how, const sigset_t *set, sigset_t *before)
{
    int (*next)(int, const sigset_t *, sigset_t *) = NULL;
    sigset_t some;
    *(void **)&next = dlsym(RTLD_NEXT, "pthread_sigmask");
    if (set && how != SIG_UNBLOCK) {
        some = *set;
        sigdelset(&some, SIGRTMIN + 6);
        set = &some;
    }
    return next(how, set, before);
}

static int library_find(struct dl_phdr_info *info, size_t bytes, void *context)
{
    (void)bytes;
    (void)context;
    for (int k = 0; strstr(info->dlpi_name, "/libc.so") && k < info->dlpi_phnum; k++)
        if (info->dlpi_phdr[k].p_type == PT_LOAD && info->dlpi_phdr[k].p_flags & PF_X) {
            code_start = info->dlpi_addr + info->dlpi_phdr[k].p_vaddr;
            code_end = code_start + info->dlpi_phdr[k].p_memsz;
        }
    return 0;
}

__attribute__((constructor)) static void begin(void)
{
    struct sigaction stuck = {.sa_sigaction = get_stuck, .sa_flags = SA_SIGINFO | SA_RESTART};
    const char *prefix = getenv("FAIL_ON_SIGNAL");
    if (!prefix)
        return;
    snprintf(marker, sizeof marker, "%s.%d", prefix, (int)getpid());
    dl_iterate_phdr(library_find, NULL);
    signal(SIGRTMIN + 5, leave);
    sigaction(SIGRTMIN + 6, &stuck, NULL);
}
