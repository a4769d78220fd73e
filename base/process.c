#include "base/process.h"

#include <pthread.h>
#include <stdatomic.h>

static _Atomic uint32_t n_forks; /* between the program's first process that asked and this one */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fork_note(void)
{
    atomic_fetch_add_explicit(&n_forks, 1, memory_order_relaxed);
}

/* Without memory for the handler a child is not told from its parent, as without this file. */
static void handler_register(void)
{
    (void)pthread_atfork(NULL, NULL, fork_note);
}

uint32_t weir_process_number(void)
{
    pthread_once(&once, handler_register);
    return atomic_load_explicit(&n_forks, memory_order_relaxed);
}

weir_status weir_process_check(uint32_t number, const char *what)
{
    return weir_process_is(number)
               ? WEIR_OK
               : WEIR_FAIL(WEIR_ERR_INVALID, "%s was opened before fork() and belongs to the parent process: open one here", what);
}
