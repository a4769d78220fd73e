/* The mpi transport: joining, leaving, and who is where.
 *
 * MPI is one per process: it is started by the first open and finalised when the process ends, so that a program may open
 * transports one after another.  After a failure it is not finalised, which would wait for processes that never come; the
 * launcher then ends what is left of the run. */
#include "engine/transport/mpi/mpi_shared.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/transport/bootstrap/launcher.h"

enum { MOST_CORES = 1 << 13 };
static const int64_t end_ns = INT64_C(60000000000); /* the processes of a run end within this time of each other */

/* ---- the library ---------------------------------------------------------------------------------------------------- */

static _Atomic bool abandoned; /* some process may never reach MPI_Finalize */
static _Atomic uint32_t starter; /* the process that started MPI: no child of it after fork() can use or end it */
static _Atomic bool is_lone;   /* the launcher started others, of whom MPI knows nothing */

/* All have come to their end?  Asked with naps in between, so that a launcher can end a process that waits in vain: mpirun
 * (Open MPI 4.1.4) now and then hangs when processes die while others are inside MPI_Finalize. */
static bool all_end(void)
{
    MPI_Request request;
    int done = 0;
    int64_t last = weir_clock_ns() + end_ns;
    if (MPI_Ibarrier(MPI_COMM_WORLD, &request) != MPI_SUCCESS)
        return false;
    while (MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done && weir_clock_ns() < last)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return done;
}

static void library_end(void)
{
    int finalized = 0;
    if (weir_process_is(starter) && !abandoned && MPI_Finalized(&finalized) == MPI_SUCCESS && !finalized && all_end())
        MPI_Finalize();
}

static const char *level_str(int level)
{
    return level == MPI_THREAD_SINGLE       ? "MPI_THREAD_SINGLE"
           : level == MPI_THREAD_FUNNELED   ? "MPI_THREAD_FUNNELED"
           : level == MPI_THREAD_SERIALIZED ? "MPI_THREAD_SERIALIZED"
                                            : "MPI_THREAD_MULTIPLE";
}

/* "Open MPI v4.1.4" */
static void library_name(char name[MPI_MAX_LIBRARY_VERSION_STRING])
{
    int length;
    if (MPI_Get_library_version(name, &length) != MPI_SUCCESS)
        snprintf(name, MPI_MAX_LIBRARY_VERSION_STRING, "this library");
    name[strcspn(name, ",\n")] = 0;
}

/* A launcher that the library does not know starts processes of which each finds itself alone, and would train everything.
 * Its variables are read before MPI starts, which sets some of its own. */
static weir_status library_join(void)
{
    struct weir_launcher launcher;
    bool several = !weir_launcher_detect((const char *const *)environ, &launcher) && weir_launcher_started(&launcher) > 1;
    int n_ranks = 0, level;
    char name[MPI_MAX_LIBRARY_VERSION_STRING];
    weir_status status = weir_mpi_check(MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level), "MPI_Init_thread");
    starter = weir_process_number();
    if (!status && atexit(library_end) != 0)
        status = WEIR_FAIL(WEIR_ERR_NOMEM, "cannot register the end of MPI");
    if (!status)
        status = weir_mpi_check(MPI_Comm_size(MPI_COMM_WORLD, &n_ranks), "MPI_Comm_size");
    if (status || n_ranks > 1 || !several)
        return status;
    is_lone = true;
    library_name(name);
    return WEIR_FAIL(WEIR_ERR_USAGE,
                     "%s says that %s started %d processes, but MPI (%s) sees one: start them with the mpirun of that MPI, or "
                     "give " WEIR_OPTION("transport=local") " to run each alone",
                     launcher.size_variable, launcher.name, weir_launcher_started(&launcher), name);
}

/* The thread that issues a step and the thread that runs it both call MPI, never at once: MPI_THREAD_SERIALIZED. */
static weir_status library_start(void)
{
    int initialized = 0, finalized = 0, level = MPI_THREAD_SINGLE;
    weir_status status = weir_mpi_check(MPI_Finalized(&finalized), "MPI_Finalized");
    if (!status && finalized)
        status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "MPI was finalised: no transport can be opened any more");
    if (!status)
        status = weir_mpi_check(MPI_Initialized(&initialized), "MPI_Initialized");
    if (!status && initialized)
        status = weir_process_check(starter, "MPI");
    if (!status && is_lone)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "MPI sees one of the processes that the launcher started: start them with the mpirun "
                                           "of that MPI, or give " WEIR_OPTION("transport=local"));
    if (!status && !initialized)
        status = library_join();
    if (!status)
        status = weir_mpi_check(MPI_Query_thread(&level), "MPI_Query_thread");
    if (!status && level < MPI_THREAD_SERIALIZED)
        status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "the MPI library gives %s, transport 'mpi' needs MPI_THREAD_SERIALIZED",
                           level_str(level));
    return status;
}

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

static weir_status host_split(weir_transport *transport)
{
    MPI_Comm machine;
    int color, rank = transport->info.rank;
    weir_status status = weir_mpi_agree(transport, transport->world, pretended_host(rank, &color));
    if (!status)
        status = weir_mpi_check(MPI_Comm_split_type(transport->world, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &machine),
                                "MPI_Comm_split_type");
    if (status)
        return status;
    status = weir_mpi_check(MPI_Comm_split(machine, color, rank, &transport->host), "MPI_Comm_split");
    MPI_Comm_free(&machine);
    if (!status)
        status = weir_mpi_check(MPI_Comm_rank(transport->host, &transport->info.local_rank), "MPI_Comm_rank");
    if (!status)
        status = weir_mpi_check(MPI_Comm_size(transport->host, &transport->info.n_local), "MPI_Comm_size");
    return status;
}

/* Hosts are numbered in the order of their first ranks. */
static void hosts_number(weir_transport *transport, const int *leaders)
{
    struct weir_transport_info *info = &transport->info;
    for (int r = 0; r < info->n_ranks; r++) {
        int local = 0;
        for (int q = 0; q < r; q++)
            local += leaders[q] == leaders[r];
        transport->host_of[r] = leaders[r] == r ? info->n_hosts++ : transport->host_of[leaders[r]];
        transport->local_of[r] = local;
        if (leaders[r] == leaders[info->rank])
            transport->rank_of_local[local] = r;
    }
    info->host = transport->host_of[info->rank];
    info->host_of = transport->host_of;
}

static weir_status hosts_find(weir_transport *transport)
{
    size_t n = (size_t)transport->info.n_ranks;
    int leader = transport->info.rank, *leaders;
    weir_status status = host_split(transport);
    if (!status)
        status = weir_arena_alloc(&transport->arena, n, sizeof(int), &leaders);
    if (!status)
        status = weir_arena_alloc(&transport->arena, n, sizeof(int), &transport->host_of);
    if (!status)
        status = weir_arena_alloc(&transport->arena, n, sizeof(int), &transport->local_of);
    if (!status)
        status = weir_arena_alloc(&transport->arena, n, sizeof(int), &transport->rank_of_local);
    status = weir_mpi_agree(transport, transport->world, status);
    if (!status)
        status = weir_mpi_check(MPI_Bcast(&leader, 1, MPI_INT, 0, transport->host), "MPI_Bcast");
    if (!status)
        status = weir_mpi_check(MPI_Allgather(&leader, 1, MPI_INT, leaders, 1, MPI_INT, transport->world), "MPI_Allgather");
    if (!status)
        hosts_number(transport, leaders);
    return status;
}

/* A launcher may have bound each process to cores of its own: the host's cores are those of all of them. */
static weir_status cores_count(weir_transport *transport)
{
    cpu_set_t mine[MOST_CORES / CPU_SETSIZE], all[MOST_CORES / CPU_SETSIZE];
    int n_threads = 0;
    memset(mine, 0, sizeof mine);
    memset(all, 0, sizeof all);
    sched_getaffinity(0, sizeof mine, mine); /* when it fails nobody spins */
    weir_status status = weir_mpi_check(
        MPI_Allreduce(mine, all, (int)sizeof mine, MPI_BYTE, MPI_BOR, transport->host), "MPI_Allreduce");
    if (!status)
        status = weir_mpi_check(MPI_Allreduce(&transport->config.n_threads, &n_threads, 1, MPI_INT, MPI_SUM, transport->host),
                                "MPI_Allreduce");
    transport->info.crowded = n_threads > CPU_COUNT_S(sizeof all, all);
    return status;
}

/* ---- open and close ------------------------------------------------------------------------------------------------- */

static weir_status comms_make(weir_transport *transport)
{
    weir_status status = weir_mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &transport->world), "MPI_Comm_dup");
    if (!status)
        status = weir_mpi_check(MPI_Comm_set_errhandler(transport->world, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    if (!status) /* inherits the error handler, as all further ones */
        status = weir_mpi_check(MPI_Comm_dup(transport->world, &transport->control), "MPI_Comm_dup");
    if (!status)
        status = weir_mpi_check(MPI_Comm_rank(transport->world, &transport->info.rank), "MPI_Comm_rank");
    if (!status)
        status = weir_mpi_check(MPI_Comm_size(transport->world, &transport->info.n_ranks), "MPI_Comm_size");
    return status;
}

static weir_status lobby_open(weir_transport *transport)
{
    weir_status status = weir_arena_alloc(&transport->arena, (size_t)transport->info.n_local, sizeof *transport->lobbies,
                                          &transport->lobbies);
    status = weir_mpi_agree(transport, transport->host, status);
    if (!status)
        status = weir_mpi_segments_open(transport, sizeof(struct weir_mpi_lobby), transport->lobbies);
    if (!status) {
        weir_futex_init(&weir_mpi_lobby(transport, transport->info.local_rank)->turn, (uint32_t)WEIR_MPI_FIRST);
        transport->turn = (uint32_t)WEIR_MPI_FIRST;
        status = weir_mpi_life_take(transport);
    }
    status = weir_mpi_agree(transport, transport->world, status);
    transport->lobby_is_open = !status;
    return status;
}

static void transport_free(weir_transport *transport)
{
    MPI_Comm *const comms[] = {&transport->host, &transport->control, &transport->world};
    for (size_t k = 0; k < sizeof comms / sizeof comms[0] && !abandoned; k++)
        if (*comms[k] != MPI_COMM_NULL)
            MPI_Comm_free(comms[k]);
    weir_arena_release(&transport->arena);
    weir_free(transport);
}

weir_status weir_mpi_open(const struct weir_transport_config *config, weir_transport **transport_out)
{
    weir_transport *transport;
    weir_status status = library_start();
    if (!status)
        status = weir_alloc(1, sizeof *transport, &transport);
    if (status)
        return status;
    transport->process = weir_process_number();
    transport->config = *config;
    transport->culprit = -1;
    transport->world = transport->control = transport->host = MPI_COMM_NULL;
    status = comms_make(transport);
    if (!status)
        status = hosts_find(transport);
    if (!status)
        status = cores_count(transport);
    if (!status)
        status = lobby_open(transport);
    if (status) {
        atomic_store(&abandoned, true);
        transport_free(transport);
        return status;
    }
    *transport_out = transport;
    return WEIR_OK;
}

/* A process that failed keeps its life lock until its end, which is what its peers wait for. */
void weir_mpi_close(weir_transport *transport)
{
    if (!transport || !weir_process_is(transport->process))
        return;
    int local = transport->info.local_rank;
    bool stopped = atomic_load(&weir_mpi_lobby(transport, local)->stopped) != 0;
    if (stopped || transport->failed)
        atomic_store(&abandoned, true);
    if (transport->failed)
        weir_mpi_culprit_wait(transport);
    if (stopped)
        transport->lobbies[local].base = NULL;
    else
        weir_mpi_life_give(transport);
    weir_mpi_segments_close(transport->lobbies, transport->info.n_local);
    transport_free(transport);
}

const struct weir_transport_info *weir_mpi_info(const weir_transport *transport)
{
    return &transport->info;
}

int64_t weir_mpi_timeout_ns(const weir_transport *transport)
{
    return transport->config.timeout_ns;
}

/* ---- the table: its links are struct weir_mpi_link, and only this file knows it ------------------------------------------ */

static struct weir_mpi_link *link_of(weir_link *handle)
{
    return (struct weir_mpi_link *)handle;
}

static const struct weir_mpi_link *link_seen(const weir_link *handle)
{
    return (const struct weir_mpi_link *)handle;
}

static weir_status here(weir_link *link)
{
    return weir_mpi_here(link_of(link)->transport);
}

static weir_status link_open(weir_transport *transport, const struct weir_link_spec *spec, weir_link **link_out)
{
    struct weir_mpi_link *link;
    weir_status status = weir_mpi_here(transport);
    if (!status)
        status = weir_mpi_link_open(transport, spec, link_seen(spec->memory), &link);
    if (!status)
        *link_out = (weir_link *)link;
    return status;
}

static void link_close(weir_link *link)
{
    if (link && weir_process_is(link_of(link)->transport->process))
        weir_mpi_link_close(link_of(link));
}

static void *link_memory(const weir_link *link, int rank, int block)
{
    return weir_mpi_memory(link_seen(link), rank, block);
}

static size_t link_mirror_bytes(const weir_link *link)
{
    return link_seen(link)->mirror_bytes;
}

static weir_status link_begin(weir_link *link)
{
    weir_status status = here(link);
    return status ? status : weir_mpi_begin(link_of(link));
}

static weir_status link_wait(weir_link *link, int rank, int event)
{
    weir_status status = here(link);
    return status ? status : weir_mpi_wait(link_of(link), rank, event);
}

static weir_status link_signal(weir_link *link, int event)
{
    weir_status status = here(link);
    return status ? status : weir_mpi_signal(link_of(link), event);
}

static weir_status link_passed(weir_link *link, int instruction)
{
    weir_status status = here(link);
    return status ? status : weir_mpi_passed(link_of(link), instruction);
}

static weir_status link_progress(weir_link *link)
{
    weir_status status = here(link);
    return status ? status : weir_mpi_progress(link_of(link));
}

static weir_status link_finish(weir_link *link)
{
    weir_status status = here(link);
    return status ? status : weir_mpi_finish(link_of(link));
}

const struct weir_transport_kind weir_transport_mpi = {
    .name = "mpi",
    .summary = "ranks are processes: shared memory within a host, messages between hosts",
    .open = weir_mpi_open,
    .info = weir_mpi_info,
    .stop = weir_mpi_stop,
    .close = weir_mpi_close,
    .exchange = weir_mpi_exchange,
    .broadcast = weir_mpi_broadcast,
    .link_open = link_open,
    .link_close = link_close,
    .memory = link_memory,
    .mirror_bytes = link_mirror_bytes,
    .begin = link_begin,
    .wait = link_wait,
    .signal = link_signal,
    .passed = link_passed,
    .progress = link_progress,
    .finish = link_finish,
};
