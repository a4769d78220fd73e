/* What all processes do together, outside runs: agree, exchange, broadcast. */
#include "engine/transport/shm/shm_shared.h"

#include <string.h>

/* What a process brings to an agreement. */
struct outcome {
    int32_t status;
    char message[WEIR_ERROR_MAX];
};

/* Of several failures the one that a process had by itself counts. */
static weir_status others_outcome(const weir_transport *transport, int *rank_out, struct outcome *found)
{
    *rank_out = -1;
    for (int r = 0; r < transport->info.n_ranks; r++) {
        struct outcome theirs;
        transport->bootstrap->get(transport->bootstrap, r, &theirs, sizeof theirs);
        if (!theirs.status || (*rank_out >= 0 && found->status != WEIR_ERR_PEER))
            continue;
        *found = theirs;
        *rank_out = r;
    }
    return *rank_out < 0 ? WEIR_OK : (weir_status)found->status;
}

/* The message of the own failure survives the waiting. */
weir_status weir_shm_agree(weir_transport *transport, weir_status status)
{
    struct outcome mine = {.status = (int32_t)status}, found;
    int rank;
    if (status)
        weir_error_take(mine.message);
    weir_status told = transport->bootstrap->put(transport->bootstrap, &mine, sizeof mine);
    if (!told)
        told = transport->bootstrap->barrier(transport->bootstrap);
    if (status) {
        weir_error_put(mine.message);
        return status;
    }
    if (told || !others_outcome(transport, &rank, &found))
        return told;
    transport->culprit = rank;
    return weir_shm_fail(transport, WEIR_FAIL((weir_status)found.status, "rank %d failed: %s", rank, found.message));
}

/* All have done their part of `turn`, and left the turn before it. */
static weir_status turn_await(weir_transport *transport, uint32_t turn)
{
    weir_status status = WEIR_OK;
    for (int l = 0; l < transport->info.n_local && !status; l++)
        if (l != transport->info.local_rank)
            status = weir_shm_flag_await(transport, &weir_shm_lobby(transport, l)->turn, turn, false);
    return status;
}

/* Notes of turn k are overwritten in turn k + 2, when all have left turn k.  After an exchange that is so; a broadcast is over
 * for its root before anybody has come to it. */
static weir_status notes_exchange(weir_transport *transport, const void *mine, size_t bytes, void *all_out)
{
    uint32_t turn = ++transport->turn;
    struct weir_shm_lobby *own = weir_shm_lobby(transport, transport->info.local_rank);
    weir_status status = turn_await(transport, turn - 1);
    if (status)
        return status;
    if (bytes)
        memcpy(own->notes[turn & 1], mine, bytes);
    weir_futex_set(&own->turn, turn, WEIR_FUTEX_PROCESSES); /* edge: note ─▶ its readers */
    for (int l = 0; l < transport->info.n_local && !status; l++) {
        struct weir_shm_lobby *lobby = weir_shm_lobby(transport, l);
        status = weir_shm_flag_await(transport, &lobby->turn, turn, false);
        if (!status && bytes)
            memcpy((char *)all_out + (size_t)transport->rank_of_local[l] * bytes, lobby->notes[turn & 1], bytes);
    }
    return status;
}

weir_status weir_shm_exchange(weir_transport *transport, const void *mine, size_t bytes, void *all_out)
{
    weir_status status = weir_shm_here(transport);
    if (status)
        return status;
    if (bytes > WEIR_EXCHANGE_MAX)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "an exchange of %zu bytes, the most are %d", bytes, WEIR_EXCHANGE_MAX);
    return transport->info.n_hosts == 1 ? notes_exchange(transport, mine, bytes, all_out)
                                        : transport->wire->exchange(transport, mine, bytes, all_out);
}

/* One chunk a turn.  The root's chunk of turn k is overwritten in turn k + 2: all must have copied it by then. */
static weir_status chunk_share(weir_transport *transport, int root, char *data, size_t bytes)
{
    uint32_t turn = ++transport->turn;
    struct weir_shm_lobby *from = weir_shm_lobby(transport, transport->local_of[root]);
    bool is_root = root == transport->info.rank;
    weir_status status = is_root ? turn_await(transport, turn - 2) : weir_shm_flag_await(transport, &from->turn, turn, false);
    if (status)
        return status;
    memcpy(is_root ? from->chunks[turn & 1] : data, is_root ? data : from->chunks[turn & 1], bytes);
    weir_futex_set(&weir_shm_lobby(transport, transport->info.local_rank)->turn, turn, WEIR_FUTEX_PROCESSES);
    return WEIR_OK;
}

weir_status weir_shm_broadcast(weir_transport *transport, int root, void *data, size_t bytes)
{
    weir_status status = weir_shm_here(transport);
    if (!status && transport->info.n_hosts > 1)
        return transport->wire->broadcast(transport, root, data, bytes);
    for (size_t at = 0; at < bytes && !status; at += WEIR_SHM_CHUNK) {
        size_t n = bytes - at < WEIR_SHM_CHUNK ? bytes - at : WEIR_SHM_CHUNK;
        status = chunk_share(transport, root, (char *)data + at, n);
    }
    return status;
}
