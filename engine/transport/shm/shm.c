/* The shm transport: joining and leaving.
 *
 * Opening stands on rounds of the bootstrap alone.  With the lobbies open, everybody sees everybody's life, and what follows
 * waits with an eye on it: a bootstrap's barrier asks the transport whether waiting still makes sense. */
#include "engine/transport/shm/shm_shared.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/transport/bootstrap/weir_launch.h"

enum { MOST_CORES = 1 << 13 };

/* What a process brings to the count of its host's cores: a launcher may have bound each to cores of its own. */
struct cores {
    cpu_set_t set[MOST_CORES / CPU_SETSIZE];
    int32_t n_threads;
};

_Static_assert(sizeof(struct cores) <= WEIR_BOOTSTRAP_MAX, "one value of a round");

static void cores_or(cpu_set_t *all, const cpu_set_t *more, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CPU_OR(&all[i], &all[i], &more[i]);
}

static weir_status cores_count(weir_transport *transport)
{
    struct weir_bootstrap *bootstrap = transport->bootstrap;
    struct cores mine, all, theirs;
    memset(&mine, 0, sizeof mine);
    memset(&all, 0, sizeof all);
    sched_getaffinity(0, sizeof mine.set, mine.set); /* when it fails nobody spins */
    mine.n_threads = transport->config.n_threads;
    weir_status status = bootstrap->put(bootstrap, &mine, sizeof mine);
    if (!status)
        status = bootstrap->barrier(bootstrap);
    for (int l = 0; l < transport->info.n_local && !status; l++) {
        bootstrap->get(bootstrap, transport->rank_of_local[l], &theirs, sizeof theirs);
        cores_or(all.set, theirs.set, sizeof all.set / sizeof all.set[0]);
        all.n_threads += theirs.n_threads;
    }
    transport->info.crowded = all.n_threads > CPU_COUNT_S(sizeof all.set, all.set);
    return status;
}

/* ---- open and close ------------------------------------------------------------------------------------------------- */

static weir_status places_find(weir_transport *transport)
{
    const struct weir_bootstrap *bootstrap = transport->bootstrap;
    struct weir_transport_info *info = &transport->info;
    size_t n = (size_t)bootstrap->n_ranks;
    weir_status status = weir_arena_alloc(&transport->arena, n, sizeof(int), &transport->local_of);
    if (!status)
        status = weir_arena_alloc(&transport->arena, n, sizeof(int), &transport->rank_of_local);
    *info = (struct weir_transport_info){.rank = bootstrap->rank, .n_ranks = bootstrap->n_ranks, .host_of = bootstrap->host_of,
                                         .host = bootstrap->host_of[bootstrap->rank]};
    for (int r = 0; r < info->n_ranks && !status; r++) {
        for (int q = 0; q < r; q++)
            transport->local_of[r] += info->host_of[q] == info->host_of[r];
        info->n_hosts = info->host_of[r] >= info->n_hosts ? info->host_of[r] + 1 : info->n_hosts;
        if (info->host_of[r] == info->host)
            transport->rank_of_local[info->n_local++] = r;
    }
    info->local_rank = status ? 0 : transport->local_of[info->rank];
    return status;
}

static void lobby_fill(const weir_transport *transport)
{
    struct weir_shm_lobby *lobby = weir_shm_lobby(transport, transport->info.local_rank);
    weir_futex_init(&lobby->turn, (uint32_t)WEIR_SHM_FIRST);
    lobby->pid = (int32_t)getpid();
    gethostname(lobby->name, sizeof lobby->name - 1);
}

static weir_status lobby_open(weir_transport *transport)
{
    weir_status status = weir_arena_alloc(&transport->arena, (size_t)transport->info.n_local, sizeof *transport->lobbies,
                                          &transport->lobbies);
    status = weir_shm_agree(transport, status);
    if (!status)
        status = weir_shm_segments_open(transport, sizeof(struct weir_shm_lobby) + transport->config.block_bytes, transport->lobbies);
    if (!status) {
        lobby_fill(transport);
        transport->turn = (uint32_t)WEIR_SHM_FIRST;
        status = weir_shm_life_take(transport);
    }
    status = weir_shm_agree(transport, status);
    transport->lobby_is_open = !status;
    return status;
}

static weir_status barrier_look(void *context, int64_t since_ns)
{
    struct weir_shm_watch watch = {.start_ns = since_ns, .looked_ns = since_ns};
    return weir_shm_watch_look(context, &watch);
}

static void transport_free(weir_transport *transport)
{
    transport->bootstrap->close(transport->bootstrap);
    weir_arena_release(&transport->arena);
    weir_free(transport);
}

weir_status weir_shm_join(const struct weir_transport_config *config, struct weir_bootstrap *bootstrap,
                          const struct weir_wire *wire, void *wire_state, weir_transport **transport_out)
{
    weir_transport *transport;
    weir_status status = weir_alloc(1, sizeof *transport, &transport);
    if (status) {
        bootstrap->close(bootstrap);
        return status;
    }
    transport->process = weir_process_number();
    transport->config = *config;
    transport->culprit = -1;
    transport->bootstrap = bootstrap;
    transport->wire = wire;
    transport->wire_state = wire_state;
    bootstrap->look = barrier_look;
    bootstrap->look_context = transport;
    status = weir_shm_agree(transport, places_find(transport));
    if (!status)
        status = cores_count(transport);
    if (!status)
        status = lobby_open(transport);
    if (status) {
        transport_free(transport);
        return status;
    }
    *transport_out = transport;
    return WEIR_OK;
}

weir_status weir_shm_open(const struct weir_transport_config *config, weir_transport **transport_out)
{
    struct weir_bootstrap *bootstrap;
    weir_status status = weir_launch_join(&bootstrap);
    return status ? status : weir_shm_join(config, bootstrap, NULL, NULL, transport_out);
}

/* A process that failed keeps its life lock until its end, which is what its peers wait for. */
void weir_shm_close(weir_transport *transport)
{
    if (!transport || !weir_process_is(transport->process))
        return;
    int local = transport->info.local_rank;
    bool stopped = atomic_load(&weir_shm_lobby(transport, local)->stopped) != 0;
    if (transport->failed)
        weir_shm_culprit_wait(transport);
    if (stopped)
        transport->lobbies[local].base = NULL;
    else
        weir_shm_life_give(transport);
    weir_shm_segments_close(transport->lobbies, transport->info.n_local);
    transport_free(transport);
}

const struct weir_transport_info *weir_shm_info(const weir_transport *transport)
{
    return &transport->info;
}

int64_t weir_shm_timeout_ns(const weir_transport *transport)
{
    return transport->config.timeout_ns;
}

int64_t weir_shm_message_ns(const weir_transport *transport)
{
    return transport->config.message_ns;
}

const struct weir_transport_kind weir_transport_shm = {
    .name = "shm",
    .summary = "ranks are processes of one host that 'weir launch' started: shared memory",
    .open = weir_shm_open,
    .close = weir_shm_close,
    WEIR_SHM_FUNCTIONS,
};
