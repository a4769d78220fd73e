/* The workers of the process: how many threads they and their teams are decides whether they spin and whether they are bound.
 *
 * This is the one global state of the device, and it has to be: cores are shared by all devices of a process. */
#include "engine/device/cpu/cpu_device.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir_cpu_stream *workers;   /* guarded by lock; linked by next_worker, newest first */
static _Atomic int n_threads;  /* of all workers' teams; written under lock; a stale value costs some microseconds */

/* An older worker has one of the cores already (two devices with the same index modulo the number of cores). */
static bool sets_meet(const cpu_set_t *a, const cpu_set_t *b)
{
    for (int cpu = 0; cpu < WEIR_CPU_MOST_CORES; cpu++)
        if (CPU_ISSET_S(cpu, WEIR_CPU_MOST_CORES / 8, a) && CPU_ISSET_S(cpu, WEIR_CPU_MOST_CORES / 8, b))
            return true;
    return false;
}

static bool core_is_taken(const struct weir_cpu_stream *worker)
{
    const struct weir_cpu_cores *mine = &worker->device->cores;
    for (const struct weir_cpu_stream *other = worker->next_worker; other; other = other->next_worker)
        if (sets_meet(mine->chosen, other->device->cores.chosen))
            return true;
    return false;
}

/* A team's threads inherit the worker's cores.  With more threads than cores the scheduler must be free to balance them.  A failure leaves the worker where it is:
 * slower at worst. */
static void worker_place(struct weir_cpu_stream *worker, int n)
{
    const struct weir_cpu_cores *cores = &worker->device->cores;
    bool bind = cores->bindable && !worker->device->is_crowded && n <= cores->n && !core_is_taken(worker);
    if (bind == worker->is_bound)
        return;
    if (pthread_setaffinity_np(worker->thread, sizeof cores->chosen, bind ? cores->chosen : cores->allowed) == 0)
        worker->is_bound = bind;
}

static void workers_place(void)
{
    int n = atomic_load_explicit(&n_threads, memory_order_relaxed);
    for (struct weir_cpu_stream *worker = workers; worker; worker = worker->next_worker)
        worker_place(worker, n);
}

static void lock_take(void)
{
    pthread_mutex_lock(&lock);
}

static void lock_give(void)
{
    pthread_mutex_unlock(&lock);
}

/* A child after fork() has none of the workers. */
static void workers_forget(void)
{
    workers = NULL;
    atomic_store_explicit(&n_threads, 0, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
}

static void fork_prepare(void)
{
    (void)pthread_atfork(lock_take, lock_give, workers_forget);
}

void weir_cpu_worker_enter(struct weir_cpu_stream *stream)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fork_prepare);
    pthread_mutex_lock(&lock);
    stream->next_worker = workers;
    workers = stream;
    atomic_fetch_add_explicit(&n_threads, stream->device->n_threads, memory_order_relaxed);
    workers_place();
    pthread_mutex_unlock(&lock);
}

void weir_cpu_worker_leave(struct weir_cpu_stream *stream)
{
    pthread_mutex_lock(&lock);
    struct weir_cpu_stream **link = &workers;
    while (*link != stream)
        link = &(*link)->next_worker;
    *link = stream->next_worker;
    atomic_fetch_sub_explicit(&n_threads, stream->device->n_threads, memory_order_relaxed);
    workers_place();
    pthread_mutex_unlock(&lock);
}

bool weir_cpu_worker_may_spin(const struct weir_cpu_device *device)
{
    return !device->is_crowded && atomic_load_explicit(&n_threads, memory_order_relaxed) <= device->cores.n;
}

bool weir_cpu_issuer_may_spin(const struct weir_cpu_device *device)
{
    return !device->is_crowded && atomic_load_explicit(&n_threads, memory_order_relaxed) < device->cores.n;
}
