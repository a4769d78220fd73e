/* Watching the peers: who has stopped, died or left; and waiting with an eye on them. */
#include "engine/transport/mpi/mpi_shared.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

enum { NOTICE_TAG = 1 };
static const int64_t notice_ns = 200000000;                        /* a notice has so long to get away */
static const int64_t settle_ns = 200000000;                        /* so long a launcher takes to notice a death */
static const int64_t spin_ns = 50000;                               /* for a message, when there are cores to spare */
static const int64_t first_nap_ns = 20000, longest_nap_ns = 100000; /* between looks at a message */

/* A notice of failure to another host. */
struct notice {
    int32_t rank, status, cause; /* as in the lobby */
    char message[WEIR_ERROR_MAX];
};

static void nap(int64_t ns)
{
    nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL);
}

weir_status weir_mpi_fail(weir_transport *transport, weir_status status)
{
    if (status && !transport->failed) {
        transport->failed = status;
        weir_error_take(transport->failure);
    }
    return status;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

weir_status weir_mpi_life_take(weir_transport *transport)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t *life = &weir_mpi_lobby(transport, transport->info.local_rank)->life;
    int reason = pthread_mutexattr_init(&attributes);
    if (!reason)
        reason = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (!reason)
        reason = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (!reason)
        reason = pthread_mutex_init(life, &attributes);
    if (!reason)
        reason = pthread_mutex_lock(life);
    return reason ? WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "cannot take a lock in shared memory: %s", strerror(reason)) : WEIR_OK;
}

void weir_mpi_life_give(weir_transport *transport)
{
    pthread_mutex_unlock(&weir_mpi_lobby(transport, transport->info.local_rank)->life);
}

enum life { ALIVE, LEFT, DEAD };

/* Whoever finds a dead owner's lock writes it down for the others and repairs the lock.  (Left unrepaired, a lock would tell
 * everybody by itself; but glibc up to 2.36 at least leaves such a lock taken by the first who tries it.) */
static enum life life_of(struct weir_mpi_lobby *lobby)
{
    int reason = pthread_mutex_trylock(&lobby->life);
    if (reason == EOWNERDEAD) {
        atomic_store(&lobby->dead, 1);
        pthread_mutex_consistent(&lobby->life);
    }
    if (reason == 0 || reason == EOWNERDEAD)
        pthread_mutex_unlock(&lobby->life);
    return atomic_load(&lobby->dead) ? DEAD : reason == 0 ? LEFT : ALIVE;
}

/* ---- failure ------------------------------------------------------------------------------------------------------- */

/* The status is that of whoever failed first.  Who failed because of another one (WEIR_ERR_PEER) passes on what it heard. */
static weir_status peer_failed(weir_transport *transport, int rank, weir_status status, weir_status cause,
                               const char *message)
{
    transport->culprit = rank;
    return status == WEIR_ERR_PEER ? WEIR_FAIL(cause, "%s", message) : WEIR_FAIL(cause, "rank %d failed: %s", rank, message);
}

/* A peer that failed because of another one counts only when nobody failed by itself. */
static weir_status local_look(weir_transport *transport, bool second_hand)
{
    for (int l = 0; l < transport->info.n_local; l++) {
        struct weir_mpi_lobby *lobby = weir_mpi_lobby(transport, l);
        int rank = transport->rank_of_local[l];
        uint32_t stopped = atomic_load_explicit(&lobby->stopped, memory_order_acquire);
        if (stopped && (stopped == WEIR_ERR_PEER) == second_hand)
            return l == transport->info.local_rank ? WEIR_FAIL(WEIR_ERR_PEER, "this rank has failed before")
                                                   : peer_failed(transport, rank, (weir_status)stopped, lobby->cause,
                                                                 lobby->message);
        enum life life = l == transport->info.local_rank || stopped || second_hand ? ALIVE : life_of(lobby);
        if (life == ALIVE)
            continue;
        transport->culprit = rank;
        return WEIR_FAIL(WEIR_ERR_PEER, life == DEAD ? "the process of rank %d has died" : "rank %d has left the run", rank);
    }
    return WEIR_OK;
}

weir_status weir_mpi_move(weir_transport *transport)
{
    struct notice notice;
    int there = 0;
    if (transport->info.n_hosts == 1)
        return WEIR_OK;
    weir_status status = weir_mpi_check(
        MPI_Iprobe(MPI_ANY_SOURCE, NOTICE_TAG, transport->control, &there, MPI_STATUS_IGNORE), "MPI_Iprobe");
    if (!status && there)
        status = weir_mpi_check(MPI_Recv(&notice, sizeof notice, MPI_BYTE, MPI_ANY_SOURCE, NOTICE_TAG, transport->control,
                                         MPI_STATUS_IGNORE), "MPI_Recv");
    if (!status && there)
        status = peer_failed(transport, notice.rank, (weir_status)notice.status, (weir_status)notice.cause, notice.message);
    return weir_mpi_fail(transport, status);
}

weir_status weir_mpi_peers_look(weir_transport *transport)
{
    weir_status status = local_look(transport, false);
    if (!status)
        status = local_look(transport, true);
    if (status) { /* the first cause, unless another process had its hand on the lock of the dead one just now */
        nap(first_nap_ns);
        weir_status first = local_look(transport, false);
        status = first ? first : local_look(transport, true);
    }
    return status ? weir_mpi_fail(transport, status) : weir_mpi_move(transport);
}

weir_status weir_mpi_look(weir_transport *transport)
{
    if (!transport->failed)
        return transport->lobby_is_open ? weir_mpi_peers_look(transport) : WEIR_OK;
    weir_error_put(transport->failure);
    return transport->failed;
}

static void notices_send(weir_transport *transport, const struct notice *notice)
{
    int64_t end = weir_clock_ns() + notice_ns;
    for (int r = 0; r < transport->info.n_ranks; r++) {
        MPI_Request request;
        int done = 0;
        if (transport->host_of[r] == transport->info.host ||
            MPI_Isend(notice, sizeof *notice, MPI_BYTE, r, NOTICE_TAG, transport->control, &request) != MPI_SUCCESS)
            continue;
        while (!done && weir_clock_ns() < end && MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done)
            nap(first_nap_ns);
    }
}

void weir_mpi_stop(weir_transport *transport, weir_status status)
{
    struct weir_mpi_lobby *lobby = weir_mpi_lobby(transport, transport->info.local_rank);
    if (!weir_process_is(transport->process) || atomic_load(&lobby->stopped))
        return;
    bool second_hand = transport->failed && transport->culprit >= 0;
    if (second_hand)
        memcpy(lobby->message, transport->failure, sizeof lobby->message);
    else
        weir_error_take(lobby->message);
    lobby->cause = second_hand ? transport->failed : status;
    uint32_t stopped = second_hand ? WEIR_ERR_PEER : (uint32_t)status;
    atomic_store(&lobby->stopped, stopped); /* edge: message ─▶ whoever sees that we stopped */
    struct notice notice = {.rank = transport->info.rank, .status = (int32_t)stopped, .cause = (int32_t)lobby->cause};
    memcpy(notice.message, lobby->message, sizeof notice.message);
    notices_send(transport, &notice);
}

void weir_mpi_culprit_wait(weir_transport *transport)
{
    int culprit = transport->culprit;
    if (culprit < 0 || transport->host_of[culprit] != transport->info.host)
        return;
    int64_t end = weir_clock_ns() + WEIR_TRANSPORT_GRACE_NS;
    while (life_of(weir_mpi_lobby(transport, transport->local_of[culprit])) == ALIVE && weir_clock_ns() < end)
        nap(WEIR_TRANSPORT_LOOK_NS / 10);
    nap(settle_ns);
}

/* ---- waiting -------------------------------------------------------------------------------------------------------- */

weir_status weir_mpi_watch_look(weir_transport *transport, struct weir_mpi_watch *watch)
{
    int64_t now = weir_clock_ns();
    if (!watch->start_ns)
        watch->start_ns = watch->looked_ns = now;
    if (transport->failed) {
        weir_error_put(transport->failure);
        return transport->failed;
    }
    if (now - watch->looked_ns < WEIR_TRANSPORT_LOOK_NS)
        return WEIR_OK;
    watch->looked_ns = now;
    weir_status status = transport->lobby_is_open ? weir_mpi_peers_look(transport) : WEIR_OK;
    if (!status && now - watch->start_ns > transport->config.timeout_ns)
        status = weir_mpi_fail(transport, WEIR_FAIL(WEIR_ERR_TIMEOUT, "nothing came in %.1f s",
                                                    (double)transport->config.timeout_ns * 1e-9));
    return status;
}

weir_status weir_mpi_watch_nap(weir_transport *transport, struct weir_mpi_watch *watch)
{
    watch->nap_ns = watch->nap_ns ? watch->nap_ns * 2 : first_nap_ns;
    watch->nap_ns = watch->nap_ns > longest_nap_ns ? longest_nap_ns : watch->nap_ns;
    nap(watch->nap_ns);
    return weir_mpi_watch_look(transport, watch);
}

weir_status weir_mpi_request_wait(weir_transport *transport, MPI_Request *request, const char *what)
{
    struct weir_mpi_watch watch = {0};
    int64_t spin_end = transport->info.crowded ? 0 : weir_clock_ns() + spin_ns;
    for (;;) {
        int done = 0;
        weir_status status = weir_mpi_fail(transport, weir_mpi_check(MPI_Test(request, &done, MPI_STATUS_IGNORE), what));
        if (!status && done)
            return WEIR_OK;
        if (!status && weir_clock_ns() >= spin_end)
            status = weir_mpi_watch_nap(transport, &watch);
        if (status)
            return status;
    }
}

/* With messages to move the sleep is short. */
weir_status weir_mpi_flag_await(weir_transport *transport, struct weir_futex *flag, uint32_t target, bool messages)
{
    struct weir_mpi_watch watch = {0};
    if (weir_futex_reached(flag, target) || (!transport->info.crowded && weir_futex_spin(flag, target)))
        return WEIR_OK;
    for (;;) {
        weir_status status = weir_mpi_watch_look(transport, &watch);
        if (!status && messages)
            status = weir_mpi_move(transport);
        if (status || weir_futex_sleep(flag, target, messages ? longest_nap_ns : WEIR_TRANSPORT_LOOK_NS,
                                        WEIR_FUTEX_PROCESSES))
            return status;
    }
}
