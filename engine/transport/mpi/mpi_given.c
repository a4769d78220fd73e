/* A program that uses MPI too: the communicator that it gives, the level of threads that it needs, and the cores that it shares. */
#include "engine/transport/mpi/mpi_shared.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/transport/bootstrap/launcher.h"

void weir_mpi_library_name(char name[MPI_MAX_LIBRARY_VERSION_STRING])
{
    int length;
    if (MPI_Get_library_version(name, &length) != MPI_SUCCESS)
        snprintf(name, MPI_MAX_LIBRARY_VERSION_STRING, "this library");
    name[strcspn(name, ",\n")] = 0;
}

/* ---- threads --------------------------------------------------------------------------------------------------------- */

static const char *level_str(int level)
{
    return level == MPI_THREAD_SINGLE       ? "MPI_THREAD_SINGLE"
           : level == MPI_THREAD_FUNNELED   ? "MPI_THREAD_FUNNELED"
           : level == MPI_THREAD_SERIALIZED ? "MPI_THREAD_SERIALIZED"
                                            : "MPI_THREAD_MULTIPLE";
}

static weir_status level_check(int needed, const char *why)
{
    int level = MPI_THREAD_SINGLE;
    weir_status status = weir_mpi_check(MPI_Query_thread(&level), "MPI_Query_thread");
    if (status || level >= needed)
        return status;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "MPI runs with %s, transport 'mpi' needs %s%s", level_str(level), level_str(needed), why);
}

weir_status weir_mpi_level_check(void)
{
    return level_check(MPI_THREAD_SERIALIZED, "");
}

weir_status weir_mpi_level_check_far(void)
{
    return level_check(MPI_THREAD_MULTIPLE, " where processes are on several hosts and the program uses MPI too, for a thread of the "
                                            "engine gives signs of life at any time: start MPI with that, or use " WEIR_OPTION("timeout=0"));
}

/* ---- the communicator ------------------------------------------------------------------------------------------------ */

static weir_status library_check(void)
{
    int started = 0, ended = 0;
    weir_status status = weir_mpi_check(MPI_Initialized(&started), "MPI_Initialized");
    if (!status)
        status = weir_mpi_check(MPI_Finalized(&ended), "MPI_Finalized");
    if (!status && ended)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "a communicator was given, but MPI was finalised");
    if (!status && !started)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "a communicator was given, but MPI was not started: call MPI_Init_thread before");
    return status ? status : weir_mpi_level_check();
}

/* Open MPI looks its handles up and finds no object, or one that it calls null; MPICH's handles are numbers, 0 none of them. */
static weir_status communicator_find(int handle, MPI_Comm *comm_out)
{
    MPI_Comm comm = handle == WEIR_COMMUNICATOR_NULL ? MPI_COMM_NULL : MPI_Comm_f2c((MPI_Fint)handle);
    char name[MPI_MAX_LIBRARY_VERSION_STRING];
    if (comm == MPI_COMM_NULL)
        return WEIR_FAIL(WEIR_ERR_INVALID, "MPI_COMM_NULL was given, or a communicator that was freed: who belongs to none opens no engine");
    if (comm == (MPI_Comm)0) {
        weir_mpi_library_name(name);
        return WEIR_FAIL(WEIR_ERR_INVALID, "a communicator was given that %s does not know: it was freed, or another MPI's", name);
    }
    *comm_out = comm;
    return WEIR_OK;
}

MPI_Comm weir_mpi_communicator(const struct weir_transport_config *config)
{
    return config->communicator ? MPI_Comm_f2c((MPI_Fint)weir_communicator_handle(config->communicator)) : MPI_COMM_WORLD;
}

weir_status weir_mpi_communicator_check(int64_t communicator)
{
    MPI_Comm comm = MPI_COMM_NULL;
    int is_inter = 0;
    if (communicator != weir_communicator_of(weir_communicator_handle(communicator)))
        return WEIR_FAIL(WEIR_ERR_INVALID, "the communicator is no number that weir_engine_config_communicator has set");
    weir_status status = library_check();
    if (!status)
        status = communicator_find(weir_communicator_handle(communicator), &comm);
    if (!status)
        status = weir_mpi_check(MPI_Comm_test_inter(comm, &is_inter), "MPI_Comm_test_inter");
    if (!status && is_inter)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "an inter-communicator was given: give one of a single group, as MPI_Intercomm_merge makes it");
    return status;
}

/* ---- cores ------------------------------------------------------------------------------------------------------------ */

bool weir_mpi_shares_host(const struct weir_transport_info *info)
{
    struct weir_launcher launcher;
    int n_all = 0;
    if (MPI_Comm_size(MPI_COMM_WORLD, &n_all) != MPI_SUCCESS || n_all <= info->n_ranks)
        return false;
    bool is_known = !weir_launcher_detect((const char *const *)environ, &launcher) && launcher.n_local > 0 && !launcher.hosts_only;
    return !is_known || launcher.n_local > info->n_local;
}
