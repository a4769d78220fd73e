/* The mpi transport: the library, joining and leaving.
 *
 * MPI is one per process.  Unless the program has started it, it is started by the first open and finalised when the process ends, so
 * that a program may open transports one after another.  After a failure it is not finalised, which would wait for processes that
 * never come; the launcher then ends what is left of the run.  MPI that the program has started is the program's to end. */
#include "engine/transport/mpi/mpi_shared.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/transport/bootstrap/launcher.h"

static const char first_exchange[] = "the first exchange over MPI";
static const int64_t end_ns = INT64_C(60000000000); /* the processes of a run end within this time of each other */

/* ---- the library ---------------------------------------------------------------------------------------------------- */

static _Atomic uint32_t starter; /* the process that started MPI: no child of it after fork() can use or end it */
static _Atomic bool is_lone;   /* the launcher started others, of whom MPI knows nothing */
static _Atomic bool is_ours;   /* started here, and not by the program */
static _Atomic bool is_met;    /* messages have reached all */
static _Atomic bool is_used;   /* a transport was opened */

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
    if (weir_process_is(starter) && !weir_mpi_is_abandoned() && MPI_Finalized(&finalized) == MPI_SUCCESS && !finalized && all_end())
        MPI_Finalize();
}

/* Open MPI writes down the stack of a process that crashes, with functions that allocate: one that crashed inside malloc() would wait
 * there for ever, and its peers with it.  Crashes stay with whom they belonged to before. */
static weir_status init(const struct weir_transport_config *config, void **result_out)
{
    static const int crashes[] = {SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGILL};
    enum { N = sizeof crashes / sizeof crashes[0] };
    struct sigaction before[N];
    int level;
    (void)config;
    (void)result_out;
    for (int i = 0; i < N; i++)
        sigaction(crashes[i], NULL, &before[i]);
    weir_status status = weir_mpi_check(MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level), "MPI_Init_thread");
    for (int i = 0; i < N; i++)
        sigaction(crashes[i], &before[i], NULL);
    return status;
}

/* A launcher that the library does not know starts processes of which each finds itself alone, and would train everything.
 * Its variables are read before MPI starts, which sets some of its own. */
static weir_status library_join(const struct weir_transport_config *config)
{
    struct weir_launcher launcher;
    bool several = !weir_launcher_detect((const char *const *)environ, &launcher) && weir_launcher_started(&launcher) > 1;
    int n_ranks = 0;
    char name[MPI_MAX_LIBRARY_VERSION_STRING];
    weir_status status = weir_mpi_limited(init, config, "MPI_Init_thread", NULL);
    starter = weir_process_number();
    is_ours = true;
    if (!status && atexit(library_end) != 0)
        status = WEIR_FAIL(WEIR_ERR_NOMEM, "cannot register the end of MPI");
    if (!status)
        status = weir_mpi_check(MPI_Comm_size(MPI_COMM_WORLD, &n_ranks), "MPI_Comm_size");
    if (status || n_ranks > 1 || !several)
        return status;
    is_lone = true;
    weir_mpi_library_name(name);
    return WEIR_FAIL(WEIR_ERR_USAGE,
                     "%s says that %s started %d processes, but MPI (%s) sees one: start them with the mpirun of that MPI, or "
                     "give " WEIR_OPTION("transport=local") " to run each alone",
                     launcher.size_variable, launcher.name, weir_launcher_started(&launcher), name);
}

/* The thread that issues a step and the thread that runs it both call MPI, never at once: MPI_THREAD_SERIALIZED. */
static weir_status library_start(const struct weir_transport_config *config)
{
    int initialized = 0, finalized = 0;
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
        status = library_join(config);
    if (!status)
        status = weir_mpi_level_check();
    if (status)
        weir_mpi_abandon(NULL);
    return status;
}

/* ---- open and close ------------------------------------------------------------------------------------------------- */

static weir_status world_open(const struct weir_transport_config *config, void **result_out)
{
    struct weir_mpi_world *world;
    weir_status status = weir_mpi_world_open(config, config->communicator || !is_ours, &world);
    if (!status)
        *result_out = world;
    return status;
}

static weir_status start(const struct weir_transport_config *config)
{
    if (!config->communicator)
        return library_start(config);
    weir_status status = weir_process_check(starter, "MPI");
    return status ? status : weir_mpi_communicator_check(config->communicator);
}

/* MPI_Init_thread hands addresses round; that messages reach their hosts is seen by the first ones. */
static weir_status meet(const struct weir_transport_config *config, void **result_out)
{
    (void)config;
    (void)result_out;
    return weir_mpi_check(MPI_Barrier(MPI_COMM_WORLD), "MPI_Barrier");
}

weir_status weir_mpi_start(const struct weir_transport_config *config)
{
    weir_status status = start(config);
    if (status || config->communicator || !is_ours || is_met)
        return status;
    is_met = true;
    return weir_mpi_limited(meet, config, first_exchange, NULL);
}

void weir_mpi_forgo(void)
{
    if (is_ours && !is_used)
        weir_mpi_abandon(NULL);
}

weir_status weir_mpi_open(const struct weir_transport_config *config, weir_transport **transport_out)
{
    void *opened;
    weir_status status = start(config);
    if (status)
        return status;
    status = weir_mpi_limited(world_open, config, first_exchange, &opened);
    struct weir_mpi_world *world = status ? NULL : opened;
    is_used = true;
    if (!status)
        status = weir_shm_join(config, &world->bootstrap, &weir_mpi_wire, world, transport_out);
    if (status)
        weir_mpi_abandon(NULL);
    else if (weir_mpi_shares_host(&(*transport_out)->info))
        (*transport_out)->info.crowded = true; /* others may compute on these cores */
    return status;
}

void weir_mpi_close(weir_transport *transport)
{
    if (!transport || !weir_process_is(transport->process))
        return;
    if (transport->failed || atomic_load(&weir_shm_lobby(transport, transport->info.local_rank)->stopped))
        weir_mpi_abandon(transport->wire_state);
    weir_shm_close(transport);
}

const struct weir_transport_kind weir_transport_mpi = {
    .name = "mpi",
    .summary = "ranks are processes: shared memory within a host, messages between hosts",
    .start = weir_mpi_start,
    .open = weir_mpi_open,
    .close = weir_mpi_close,
    WEIR_SHM_FUNCTIONS,
};
