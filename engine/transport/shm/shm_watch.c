/* Watching the peers: who has stopped, died or left; and waiting with an eye on them. */
#include "engine/transport/shm/shm_shared.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "engine/transport/bootstrap/weir_launch.h"

static const int64_t settle_ns = 200000000; /* so long a launcher takes to notice a death */
static const int64_t first_nap_ns = 20000, longest_nap_ns = 100000; /* between looks at a message */
static const int64_t on_its_way_ns = INT64_C(1000000000);

static void nap(int64_t ns)
{
    nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL);
}

weir_status weir_shm_fail(weir_transport *transport, weir_status status)
{
    if (status && !transport->failed) {
        weir_error_take(transport->failure);
        transport->failed = status;
    }
    return status;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

weir_status weir_shm_life_take(weir_transport *transport)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t *life = &weir_shm_lobby(transport, transport->info.local_rank)->life;
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

void weir_shm_life_give(weir_transport *transport)
{
    pthread_mutex_unlock(&weir_shm_lobby(transport, transport->info.local_rank)->life);
}

enum life { ALIVE, LEFT, DEAD };

/* Whoever finds a dead owner's lock writes it down for the others and repairs the lock.  (Left unrepaired, a lock would tell
 * everybody by itself; but glibc up to 2.36 at least leaves such a lock taken by the first who tries it.) */
static enum life life_of(struct weir_shm_lobby *lobby)
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

/* A peer that has left in order had done its part: what is waited for may be on its way, and counts as lost when it does not come. */
static bool may_still_come(weir_transport *transport)
{
    int64_t now = weir_clock_ns(), none = 0;
    atomic_compare_exchange_strong(&transport->left_ns, &none, now);
    return now - atomic_load(&transport->left_ns) < on_its_way_ns;
}

/* A peer that failed because of another one counts only when nobody failed by itself. */
static weir_status local_look(weir_transport *transport, bool second_hand)
{
    for (int l = 0; l < transport->info.n_local; l++) {
        struct weir_shm_lobby *lobby = weir_shm_lobby(transport, l);
        int rank = transport->rank_of_local[l];
        uint32_t stopped = atomic_load_explicit(&lobby->stopped, memory_order_acquire);
        if (stopped && (stopped == WEIR_ERR_PEER) == second_hand)
            return l == transport->info.local_rank ? WEIR_FAIL(WEIR_ERR_PEER, "this rank has failed before")
                                                   : peer_failed(transport, rank, (weir_status)stopped, lobby->cause,
                                                                 lobby->message);
        enum life life = l == transport->info.local_rank || stopped || second_hand ? ALIVE : life_of(lobby);
        if (life == ALIVE || (life == LEFT && may_still_come(transport)))
            continue;
        transport->culprit = rank;
        return WEIR_FAIL(WEIR_ERR_PEER, life == DEAD ? "the process of rank %d has died (process %d on %s)"
                                                     : "rank %d has left the run (process %d on %s)", rank, (int)lobby->pid, lobby->name);
    }
    return WEIR_OK;
}

weir_status weir_shm_move(weir_transport *transport)
{
    struct weir_shm_notice notice;
    bool there = false;
    if (transport->info.n_hosts == 1)
        return WEIR_OK;
    weir_status status = transport->wire->move(transport, &notice, &there);
    if (!status && there)
        transport->heard_far = true;
    if (!status && there)
        status = peer_failed(transport, notice.rank, (weir_status)notice.status, (weir_status)notice.cause, notice.message);
    return weir_shm_fail(transport, status);
}

static weir_status peers_look(weir_transport *transport)
{
    weir_status status = local_look(transport, false);
    if (!status)
        status = local_look(transport, true);
    if (status) { /* the first cause, unless another process had its hand on the lock of the dead one just now */
        nap(first_nap_ns);
        weir_status first = local_look(transport, false);
        status = first ? first : local_look(transport, true);
    }
    return status ? weir_shm_fail(transport, status) : weir_shm_move(transport);
}

weir_status weir_shm_look(weir_transport *transport)
{
    const struct weir_transport_config *config = &transport->config;
    if (transport->failed) {
        weir_error_put(transport->failure);
        return transport->failed;
    }
    weir_status status = transport->lobby_is_open ? peers_look(transport) : WEIR_OK;
    return status || !config->look ? status : weir_shm_fail(transport, config->look(config->look_context));
}

/* All processes hear of one that is lost.  The first of a host that comes here tells, unless it has heard of it from another host,
 * where somebody does; the leading process of the run does not leave it to other hosts, which wait for it. */
static bool is_told(weir_transport *transport, weir_status cause)
{
    bool lost = cause == WEIR_ERR_PEER || cause == WEIR_ERR_TIMEOUT;
    bool leaves_it = transport->heard_far && transport->info.rank > 0;
    return lost && (leaves_it || atomic_exchange(&weir_shm_lobby(transport, 0)->told, 1));
}

/* Of two threads that come here the second leaves with the first. */
static bool stop_begin(weir_transport *transport, const struct weir_shm_lobby *lobby)
{
    if (!weir_process_is(transport->process))
        return false;
    if (!atomic_exchange(&transport->is_stopping, true))
        return true;
    while (!atomic_load(&((struct weir_shm_lobby *)(uintptr_t)lobby)->stopped))
        nap(first_nap_ns);
    return false;
}

void weir_shm_stop(weir_transport *transport, weir_status status)
{
    struct weir_shm_lobby *lobby = weir_shm_lobby(transport, transport->info.local_rank);
    if (!stop_begin(transport, lobby))
        return;
    bool second_hand = transport->failed && transport->culprit >= 0;
    if (second_hand)
        memcpy(lobby->message, transport->failure, sizeof lobby->message);
    else
        weir_error_take(lobby->message);
    lobby->cause = second_hand ? transport->failed : status;
    uint32_t stopped = second_hand ? WEIR_ERR_PEER : (uint32_t)status;
    transport->info.is_told = is_told(transport, lobby->cause);
    struct weir_launch_record record = {.kind = WEIR_LAUNCH_FAILED, .status = (int32_t)status, .is_second_hand = second_hand};
    memcpy(record.message, lobby->message, sizeof record.message);
    weir_launch_say(&record);
    atomic_store(&lobby->stopped, stopped); /* edge: message ─▶ whoever sees that we stopped */
    if (transport->info.n_hosts == 1)
        return;
    struct weir_shm_notice notice = {.rank = transport->info.rank, .status = (int32_t)stopped, .cause = (int32_t)lobby->cause};
    memcpy(notice.message, lobby->message, sizeof notice.message);
    transport->wire->tell(transport, &notice);
}

void weir_shm_culprit_wait(weir_transport *transport)
{
    int culprit = transport->culprit;
    if (culprit < 0 || !weir_shm_is_here(transport, culprit))
        return;
    int64_t end = weir_clock_ns() + WEIR_TRANSPORT_GRACE_NS;
    while (life_of(weir_shm_lobby(transport, transport->local_of[culprit])) == ALIVE && weir_clock_ns() < end)
        nap(WEIR_TRANSPORT_LOOK_NS / 10);
    nap(settle_ns);
}

/* ---- waiting -------------------------------------------------------------------------------------------------------- */

weir_status weir_shm_watch_look(weir_transport *transport, struct weir_shm_watch *watch)
{
    int64_t now = weir_clock_ns();
    if (!watch->start_ns) {
        watch->start_ns = watch->looked_ns = now;
        atomic_store(&transport->left_ns, 0);
    }
    if (transport->failed) {
        weir_error_put(transport->failure);
        return transport->failed;
    }
    if (now - watch->looked_ns < WEIR_TRANSPORT_LOOK_NS)
        return WEIR_OK;
    watch->looked_ns = now;
    const struct weir_transport_config *config = &transport->config;
    weir_status status = transport->lobby_is_open ? peers_look(transport) : WEIR_OK;
    if (!status && config->look)
        status = weir_shm_fail(transport, config->look(config->look_context));
    bool has_limit = config->timeout_ns && (!config->look || !transport->lobby_is_open);
    if (!status && has_limit && now - watch->start_ns > config->timeout_ns)
        status = weir_shm_fail(transport, WEIR_FAIL(WEIR_ERR_TIMEOUT, "nothing came in %.1f s", (double)config->timeout_ns * 1e-9));
    return status;
}

weir_status weir_shm_watch_nap(weir_transport *transport, struct weir_shm_watch *watch)
{
    watch->nap_ns = watch->nap_ns ? watch->nap_ns * 2 : first_nap_ns;
    watch->nap_ns = watch->nap_ns > longest_nap_ns ? longest_nap_ns : watch->nap_ns;
    nap(watch->nap_ns);
    return weir_shm_watch_look(transport, watch);
}

/* With messages to move the sleep is short. */
weir_status weir_shm_flag_await(weir_transport *transport, struct weir_futex *flag, uint32_t target, bool messages)
{
    struct weir_shm_watch watch = {0};
    if (weir_futex_reached(flag, target) || (!transport->info.crowded && weir_futex_spin(flag, target)))
        return WEIR_OK;
    for (;;) {
        weir_status status = weir_shm_watch_look(transport, &watch);
        if (!status && messages)
            status = weir_shm_move(transport);
        if (status || weir_futex_sleep(flag, target, messages ? longest_nap_ns : WEIR_TRANSPORT_LOOK_NS,
                                        WEIR_FUTEX_PROCESSES))
            return status;
    }
}

/* ---- signs of life ------------------------------------------------------------------------------------------------- */

bool weir_shm_beat(weir_transport *transport, const void *mine, size_t bytes, weir_heard_fn heard, void *context)
{
    return transport->info.n_hosts == 1 || transport->wire->beat(transport, mine, bytes, heard, context);
}
