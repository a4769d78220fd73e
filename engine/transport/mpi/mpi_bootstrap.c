/* The bootstrap over MPI: who is on which host, and rounds as all-gathers. */
#include "engine/transport/mpi/mpi_shared.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"

static const int64_t first_nap_ns = 20000, longest_nap_ns = 100000;

/* ---- hosts ---------------------------------------------------------------------------------------------------------- */

/* WEIR_TEST_HOSTS=0,0,1,1 makes processes of one machine behave as if they were on two; a test aid. */
static weir_status pretended_host(int rank, int *color_out)
{
    const char *list = getenv("WEIR_TEST_HOSTS");
    *color_out = 0;
    if (!list || !*list)
        return WEIR_OK;
    for (int r = 0; r <= rank; r++) {
        char *end;
        long host = strtol(list, &end, 10);
        if (end == list || host < 0 || host > 1000000 || (*end && *end != ','))
            return WEIR_FAIL(WEIR_ERR_INVALID, "WEIR_TEST_HOSTS='%s' has no host for rank %d: give a number for each rank, "
                                               "separated by commas", getenv("WEIR_TEST_HOSTS"), rank);
        *color_out = (int)host;
        list = *end ? end + 1 : end;
    }
    return WEIR_OK;
}

/* The first rank of this process's host. */
static weir_status leader_find(const struct weir_mpi_world *world, int color, int *leader_out)
{
    MPI_Comm machine, host;
    int rank = world->bootstrap.rank;
    *leader_out = rank;
    weir_status status = weir_mpi_check(MPI_Comm_split_type(world->world, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &machine),
                                        "MPI_Comm_split_type");
    if (status)
        return status;
    status = weir_mpi_check(MPI_Comm_split(machine, color, rank, &host), "MPI_Comm_split");
    MPI_Comm_free(&machine);
    if (status)
        return status;
    status = weir_mpi_check(MPI_Bcast(leader_out, 1, MPI_INT, 0, host), "MPI_Bcast");
    MPI_Comm_free(&host);
    return status;
}

/* The same outcome on every process, so that none waits for one that is not coming. */
static weir_status outcome_share(const struct weir_mpi_world *world, weir_status status)
{
    int mine = (int)status, any = 0;
    weir_status told = weir_mpi_check(MPI_Allreduce(&mine, &any, 1, MPI_INT, MPI_MAX, world->world), "MPI_Allreduce");
    if (status || told || !any)
        return status ? status : told;
    return WEIR_FAIL((weir_status)any, "another rank failed to set up the transport");
}

/* Hosts are numbered in the order of their first ranks. */
static weir_status hosts_find(struct weir_mpi_world *world)
{
    int n = world->bootstrap.n_ranks, n_hosts = 0, color, leader, *leaders = NULL;
    weir_status status = pretended_host(world->bootstrap.rank, &color);
    if (!status)
        status = weir_arena_alloc(&world->arena, (size_t)n, sizeof(int), &leaders);
    if (!status)
        status = weir_arena_alloc(&world->arena, (size_t)n, sizeof(int), &world->host_of);
    if (!status)
        status = weir_arena_alloc(&world->arena, (size_t)n, WEIR_BOOTSTRAP_MAX, &world->all);
    status = outcome_share(world, status);
    if (!status)
        status = leader_find(world, color, &leader);
    if (!status)
        status = weir_mpi_check(MPI_Allgather(&leader, 1, MPI_INT, leaders, 1, MPI_INT, world->world), "MPI_Allgather");
    for (int r = 0; r < n && !status; r++)
        world->host_of[r] = leaders[r] == r ? n_hosts++ : world->host_of[leaders[r]];
    world->bootstrap.host_of = world->host_of;
    return status;
}

/* ---- rounds --------------------------------------------------------------------------------------------------------- */

static struct weir_mpi_world *world_of(struct weir_bootstrap *bootstrap)
{
    return (struct weir_mpi_world *)(void *)bootstrap;
}

static weir_status put(struct weir_bootstrap *bootstrap, const void *value, size_t bytes)
{
    struct weir_mpi_world *world = world_of(bootstrap);
    memcpy(world->mine, value, bytes);
    world->bytes = bytes;
    return WEIR_OK;
}

static weir_status request_await(const struct weir_bootstrap *bootstrap, MPI_Request *request)
{
    int64_t start = weir_clock_ns(), looked = start, nap = first_nap_ns;
    weir_status status = WEIR_OK;
    int done = 0;
    while (!status) {
        weir_mpi_lock();
        status = weir_mpi_check(MPI_Test(request, &done, MPI_STATUS_IGNORE), "MPI_Iallgather");
        weir_mpi_unlock();
        if (status || done)
            return status;
        nanosleep(&(struct timespec){.tv_nsec = nap}, NULL);
        nap = nap * 2 < longest_nap_ns ? nap * 2 : longest_nap_ns;
        if (!bootstrap->look || weir_clock_ns() - looked < WEIR_TRANSPORT_LOOK_NS)
            continue;
        looked = weir_clock_ns();
        status = bootstrap->look(bootstrap->look_context, start);
    }
    return status;
}

static weir_status barrier(struct weir_bootstrap *bootstrap)
{
    struct weir_mpi_world *world = world_of(bootstrap);
    MPI_Request request;
    int bytes = (int)world->bytes;
    weir_mpi_lock();
    weir_status status = weir_mpi_check(
        MPI_Iallgather(world->mine, bytes, MPI_BYTE, world->all, bytes, MPI_BYTE, world->world, &request), "MPI_Iallgather");
    weir_mpi_unlock();
    if (!status)
        status = request_await(bootstrap, &request);
    if (status)
        weir_mpi_abandon(world);
    return status;
}

static void get(const struct weir_bootstrap *bootstrap, int rank, void *value_out, size_t bytes)
{
    const struct weir_mpi_world *world = (const struct weir_mpi_world *)(const void *)bootstrap;
    memcpy(value_out, world->all + (size_t)rank * world->bytes, bytes);
}

/* ---- open and close ------------------------------------------------------------------------------------------------- */

/* A split has the processes and their order; a duplicate would have the program's attributes and hints too. */
static weir_status comms_make(struct weir_mpi_world *world, const struct weir_transport_config *config)
{
    weir_status status = weir_mpi_check(MPI_Comm_split(weir_mpi_communicator(config), 0, 0, &world->world), "MPI_Comm_split");
    if (!status)
        status = weir_mpi_check(MPI_Comm_set_errhandler(world->world, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    if (!status) /* inherits the error handler, as all further ones */
        status = weir_mpi_check(MPI_Comm_dup(world->world, &world->control), "MPI_Comm_dup");
    if (!status)
        status = weir_mpi_check(MPI_Comm_dup(world->world, &world->beats.comm), "MPI_Comm_dup");
    if (!status)
        status = weir_mpi_check(MPI_Comm_rank(world->world, &world->bootstrap.rank), "MPI_Comm_rank");
    if (!status)
        status = weir_mpi_check(MPI_Comm_size(world->world, &world->bootstrap.n_ranks), "MPI_Comm_size");
    return status;
}

static struct weir_mpi_world *kept; /* what MPI may yet read and write; guarded by weir_mpi_lock */

static void world_keep(struct weir_mpi_world *world)
{
    weir_mpi_lock();
    world->next_kept = kept;
    kept = world;
    weir_mpi_unlock();
}

static void world_close(struct weir_bootstrap *bootstrap)
{
    struct weir_mpi_world *world = world_of(bootstrap);
    MPI_Comm *const comms[] = {&world->control, &world->beats.comm, &world->world};
    if (!weir_mpi_is_over())
        weir_mpi_beats_close(world);
    if (world->stays || weir_mpi_is_over()) {
        world_keep(world);
        return;
    }
    for (size_t k = 0; k < sizeof comms / sizeof comms[0]; k++)
        if (*comms[k] != MPI_COMM_NULL)
            MPI_Comm_free(comms[k]);
    weir_arena_release(&world->arena);
    weir_free(world);
}

/* Rooms for what goes between hosts, and the right to send it from a thread of our own. */
static weir_status far_open(struct weir_mpi_world *world, const struct weir_transport_config *config, bool is_shared)
{
    size_t passing = ((size_t)world->bootstrap.n_ranks + 1) * WEIR_EXCHANGE_MAX;
    weir_status status = weir_mpi_beats_open(world);
    if (status || !world->beats.n)
        return status;
    if (config->timeout_ns && is_shared)
        status = weir_mpi_level_check_far();
    return status ? status : weir_arena_alloc(&world->arena, passing > WEIR_MPI_PASSING ? passing : WEIR_MPI_PASSING, 1, &world->passing);
}

weir_status weir_mpi_world_open(const struct weir_transport_config *config, bool is_shared, struct weir_mpi_world **world_out)
{
    struct weir_mpi_world *world;
    weir_status status = weir_alloc(1, sizeof *world, &world);
    if (status)
        return status;
    world->bootstrap = (struct weir_bootstrap){.put = put, .barrier = barrier, .get = get, .close = world_close};
    world->world = world->control = world->beats.comm = MPI_COMM_NULL;
    status = comms_make(world, config);
    if (!status)
        status = hosts_find(world);
    if (!status)
        status = outcome_share(world, far_open(world, config, is_shared));
    if (status) {
        weir_mpi_abandon(world);
        world_close(&world->bootstrap);
        return status;
    }
    *world_out = world;
    return WEIR_OK;
}
