#include "engine/transport/transport.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "engine/transport/bootstrap/weir_launch.h"
#include "engine/transport/bootstrap/launcher.h"
#include "weir_libraries.h"

/* WEIR_NCCL_EMULATED: the build of tests/stand_ins/fake_nccl, which has the transport without having NCCL. */
#if WEIR_HAVE_MPI && (WEIR_HAVE_NCCL || defined(WEIR_NCCL_EMULATED))
#define WITH_NCCL 1
#else
#define WITH_NCCL 0
#endif

static const struct weir_transport_kind local = {
    .name = "local", .summary = "ranks are threads of one process, slots are shared memory", .one_process = true};

const struct weir_transport_kind *const weir_transport_kinds[] = {
    &local,
    &weir_transport_shm,
#if WEIR_HAVE_MPI
    &weir_transport_mpi,
#endif
#if WITH_NCCL
    &weir_transport_nccl,
#endif
    NULL,
};

static const char mpi_missing[] = "this build of Weir has no MPI: build it with -DWEIR_MPI=ON (Debian: libopenmpi-dev)";

weir_status weir_transport_find(const char *name, const struct weir_transport_kind **kind_out)
{
    static const char *const known[] = {"local", "shm", "mpi", "nccl", NULL};
    for (const struct weir_transport_kind *const *kind = weir_transport_kinds; *kind; kind++)
        if (!strcmp((*kind)->name, name ? name : local.name)) {
            *kind_out = *kind;
            return WEIR_OK;
        }
    if (!strcmp(name, "mpi"))
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s", mpi_missing);
    if (!strcmp(name, "nccl"))
        return WEIR_FAIL(WEIR_ERR_USAGE, "transport 'nccl' is not in this build of Weir: build it with -DWEIR_CUDA=ON "
                                         "-DWEIR_NCCL=ON -DWEIR_MPI=ON");
    return weir_unknown("transport", name, known);
}

weir_status weir_transport_launched(const char *device, const char **name_out)
{
    struct weir_launcher launcher;
    const struct weir_device_kind *kind;
    weir_status status = weir_launcher_detect((const char *const *)environ, &launcher);
    if (!status)
        status = weir_device_list_kind_plan(device, &kind); /* of a run that may only be printed */
    if (status)
        return status;
    bool several = weir_launcher_started(&launcher) > 1;
    bool by_weir = weir_launch_is_process();
    const char *carried_by = by_weir ? kind->launch_transport : kind->mpi_transport;
    if ((several || by_weir) && !carried_by)
        return WEIR_FAIL(WEIR_ERR_USAGE, "device '%s' runs all ranks in one process: start the command by itself, or give "
                         WEIR_OPTION("transport=local"), kind->name);
    if (several && !WEIR_HAVE_MPI && strcmp(carried_by, weir_transport_shm.name) != 0)
        return WEIR_FAIL(WEIR_ERR_USAGE,
                         "%s=%s says that a launcher started several processes, but %s; start them with 'weir launch', or give "
                         WEIR_OPTION("transport=local") " to run each alone",
                         launcher.size_variable, getenv(launcher.size_variable), mpi_missing);
    *name_out = several || by_weir ? carried_by : local.name;
    return WEIR_OK;
}
