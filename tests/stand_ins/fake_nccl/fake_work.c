/* What a group has launched on one communicator: connecting, entering the streams, running on one of them. */
#include <stdlib.h>
#include <time.h>

#include "fake_comm.h"

static struct fake_work *first_work, **end_work = &first_work; /* launched and not done, in the order of the launches */

/* ---- connecting ---------------------------------------------------------------------------------------------------- */

/* NCCL chooses how to do a collective by its kind and its size, and connects the ranks for that: one bit of each. */
static int way_of(const struct fake_op *op)
{
    return 1 << (2 * (int)op->call.kind + (op->call.count >= 1024));
}

static bool known(const struct ncclComm *comm, const struct fake_op *op)
{
    return op->call.kind == FAKE_SEND   ? comm->sends[op->peer]
           : op->call.kind == FAKE_RECV ? comm->receives[op->peer]
                                        : comm->collects & way_of(op);
}

bool fake_work_announce(struct fake_work *work)
{
    struct ncclComm *comm = work->comm;
    struct fake_member *me = fake_member(comm, comm->rank);
    bool all_known = true, announced = false;
    for (int i = 0; i < work->n_ops; i++) {
        const struct fake_op *op = &work->ops[i];
        bool collective = op->call.kind > FAKE_RECV;
        if (op->call.kind == FAKE_SEND)
            atomic_store(&fake_channel(comm, comm->rank, op->peer)->sender_came, 1);
        else if (op->call.kind == FAKE_RECV)
            atomic_store(&fake_channel(comm, op->peer, comm->rank)->receiver_came, 1);
        else if (!announced && !known(comm, op)) {
            me->announced = op->call;
            atomic_store(&me->announced_at, comm->n_called + 1);
            announced = true;
        }
        if (collective)
            atomic_fetch_or(&me->connects, way_of(op));
        comm->n_called += collective;
        all_known = all_known && known(comm, op);
    }
    return all_known;
}

/* Ranks that wait for each other with different collectives would wait for ever. */
static void announced_compare(struct ncclComm *comm)
{
    const struct fake_member *me = fake_member(comm, comm->rank);
    uint64_t at = me->announced_at;
    for (int r = 0; r < comm->n_ranks; r++) {
        const struct fake_member *other = fake_member(comm, r);
        bool there = atomic_load(&other->announced_at) == at;
        struct fake_call theirs = other->announced;
        if (there && atomic_load(&other->announced_at) == at)
            fake_calls_compare(comm, at - 1, &me->announced, r, &theirs);
    }
}

static bool all_connect(const struct ncclComm *comm, int way)
{
    for (int r = 0; r < comm->n_ranks; r++)
        if (!(atomic_load(&fake_member(comm, r)->connects) & way))
            return false;
    return true;
}

/* Look after one that is not known to be connected. */
static void connection_look(struct ncclComm *comm, const struct fake_op *op)
{
    if (op->call.kind == FAKE_SEND)
        comm->sends[op->peer] = atomic_load(&fake_channel(comm, comm->rank, op->peer)->receiver_came);
    else if (op->call.kind == FAKE_RECV)
        comm->receives[op->peer] = atomic_load(&fake_channel(comm, op->peer, comm->rank)->sender_came);
    else {
        announced_compare(comm);
        if (all_connect(comm, way_of(op)))
            comm->collects |= way_of(op);
    }
}

bool fake_work_connected(struct fake_work *work)
{
    bool all = true;
    for (int i = 0; i < work->n_ops; i++) {
        const struct fake_op *op = &work->ops[i];
        if (!known(work->comm, op))
            connection_look(work->comm, op);
        all = all && known(work->comm, op);
    }
    return all;
}

/* ---- running ------------------------------------------------------------------------------------------------------- */

/* Operations of a communicator run one after the other; in mode `serial` all of a GPU do.  Those of an aborted one are in
 * nobody's way. */
static bool may_start(const struct fake_work *work)
{
    for (const struct fake_work *w = first_work; w != work; w = w->next)
        if (w->comm == work->comm ||
            (fake_modes.serial && w->comm->device == work->comm->device && w->comm->life == FAKE_ALIVE))
            return false;
    return true;
}

/* Messages to one peer, and collectives, keep their order. */
static bool may_progress(const struct fake_work *work, int i)
{
    const struct fake_op *op = &work->ops[i];
    for (int j = 0; j < i; j++) {
        const struct fake_op *before = &work->ops[j];
        bool same_kind = op->call.kind == before->call.kind || (op->call.kind > FAKE_RECV && before->call.kind > FAKE_RECV);
        if (!before->done && same_kind && op->peer == before->peer)
            return false;
    }
    return true;
}

static void ops_run(struct fake_work *work)
{
    struct ncclComm *comm = work->comm;
    bool left = true;
    while (left && comm->life == FAKE_ALIVE) {
        uint32_t bell = atomic_load(&comm->shared->bell);
        bool moved = false;
        left = work->stuck;
        for (int i = 0; i < work->n_ops && !work->stuck && !atomic_load(&comm->shared->broken); i++) {
            struct fake_op *op = &work->ops[i];
            if (op->done || !may_progress(work, i)) {
                left |= !op->done;
                continue;
            }
            moved |= fake_op_progress(comm, op);
            if (op->done)
                fake_op_end(comm, op);
            left |= !op->done;
        }
        left |= atomic_load(&comm->shared->broken) != 0;
        if (left && !moved)
            fake_listen(comm->shared, bell);
    }
}

static void work_end(struct fake_work *work)
{
    struct ncclComm *comm = work->comm;
    struct fake_work **at = &first_work;
    while (*at != work)
        at = &(*at)->next;
    *at = work->next;
    if (end_work == &work->next)
        end_work = at;
    comm->n_works--;
    if (comm->life != FAKE_ALIVE && comm->n_works == 0 && !comm->waiting)
        fake_segment_leave(comm);
    free(work);
    pthread_cond_broadcast(&fake.changed);
}

/* As a task of its stream, without the lock. */
static void work_run(void *argument)
{
    struct fake_work *work = argument;
    fake_pause_maybe();
    for (int i = 0; i < work->n_ops && work->comm->life == FAKE_ALIVE; i++)
        fake_op_begin(work->comm, &work->ops[i]);
    if (fake_modes.slow)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    pthread_mutex_lock(&fake.lock);
    while (work->comm->life == FAKE_ALIVE && !may_start(work))
        pthread_cond_wait(&fake.changed, &fake.lock);
    work->running = work->comm->life == FAKE_ALIVE;
    pthread_mutex_unlock(&fake.lock);
    if (work->running)
        ops_run(work);
    pthread_mutex_lock(&fake.lock);
    work_end(work);
    pthread_mutex_unlock(&fake.lock);
}

bool fake_works_running(const struct ncclComm *comm)
{
    for (const struct fake_work *w = first_work; w; w = w->next)
        if (w->comm == comm && w->running)
            return true;
    return false;
}

bool fake_works_running_beside(const struct ncclComm *comm)
{
    for (const struct fake_work *w = first_work; w; w = w->next)
        if (w->comm != comm && w->comm->device == comm->device && w->running && w->comm->life == FAKE_ALIVE)
            return true;
    return false;
}

/* ---- launching ----------------------------------------------------------------------------------------------------- */

/* NCCL runs a group on one stream, which waits for all its streams and for which they all wait. */
void fake_work_issue(struct fake_work *work)
{
    cudaStream_t home = work->ops[0].stream, others[FAKE_MOST_RANKS];
    int n_others = 0;
    for (int i = 1; i < work->n_ops; i++) {
        int known = 0;
        while (known < n_others && others[known] != work->ops[i].stream)
            known++;
        if (work->ops[i].stream != home && known == n_others && n_others < FAKE_MOST_RANKS)
            others[n_others++] = work->ops[i].stream;
    }
    for (int i = 0; i < n_others; i++)
        fake_stream_follow(home, others[i]);
    enum fake_fate fate = fake_launch_fate();
    work->stuck = fate != FAKE_GOES_WELL;
    if (fate == FAKE_FAILS) {
        work->comm->error = ncclSystemError;
        fake_reason_set("the operation that mode `async` names has failed");
    }
    work->comm->n_works++;
    *end_work = work;
    end_work = &work->next;
    struct fake_task *task = fake_issue(home, FAKE_CALL);
    task->fn = work_run, task->argument = work;
    for (int i = 0; i < n_others; i++)
        fake_stream_follow(others[i], home);
}
