#include "engine/run/flight_write.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/replace.h"

enum { UNDER_WAY, OVER, STACK_BYTES = 256 << 10 };
static const int64_t patience_ns = 300000000;

/* The thread has it, and who waits for the thread; the last one releases it. */
struct task {
    struct weir_futex state;
    _Atomic int holders;
    weir_status status;
    char message[WEIR_ERROR_MAX];
    char path[4096];
    struct weir_text text;
};

static void task_leave(struct task *task)
{
    if (atomic_fetch_sub(&task->holders, 1) > 1)
        return;
    weir_text_release(&task->text);
    weir_free(task);
}

/* A record is of use while the machine is up: nobody waits until it is on the disk. */
static weir_status record_place(const struct task *task)
{
    struct weir_replacement file;
    weir_status status = weir_replace_open(task->path, NULL, &file);
    if (status)
        return status;
    file.unsynced = true;
    status = weir_replace_write(&file, task->text.data, task->text.length);
    if (!status)
        return weir_replace_commit(&file);
    weir_replace_abort(&file);
    return status;
}

static void *task_run(void *argument)
{
    struct task *task = argument;
    task->status = record_place(task);
    if (task->status)
        weir_error_take(task->message);
    weir_futex_set(&task->state, OVER, WEIR_FUTEX_THREADS);
    task_leave(task);
    return NULL;
}

/* The thread takes no signals: they are for the program's own. */
static int thread_create(struct task *task)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int reason = pthread_attr_init(&attributes);
    if (reason)
        return reason;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    reason = pthread_create(&thread, &attributes, task_run, task);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return reason;
}

static weir_status task_await(struct task *task)
{
    if (!weir_futex_wait(&task->state, OVER, false, weir_clock_ns() + patience_ns, WEIR_FUTEX_THREADS))
        return WEIR_FAIL(WEIR_ERR_IO, "'%s' was not written within %.1f s: its disk stands still", task->path, (double)patience_ns * 1e-9);
    if (task->status)
        weir_error_put(task->message);
    return task->status;
}

weir_status weir_flight_write(const char *path, struct weir_text *text)
{
    struct task *task = NULL;
    weir_status status = text->status ? text->status : weir_alloc(1, sizeof *task, &task);
    if (status) {
        weir_text_release(text);
        return status;
    }
    weir_futex_init(&task->state, UNDER_WAY);
    atomic_init(&task->holders, 2);
    snprintf(task->path, sizeof task->path, "%s", path);
    task->text = *text;
    *text = (struct weir_text){0};
    if (thread_create(task)) /* no threads left: it takes what it takes */
        task_run(task);
    status = task_await(task);
    task_leave(task);
    return status;
}
