#include "engine/transport/transport.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "engine/device/plugin/plugin.h"
#include "engine/transport/bootstrap/weir_launch.h"
#include "engine/transport/bootstrap/launcher.h"
#include "engine/transport/mpi/mpi_base.h"
#include "engine/transport/plugin_carriers.h"
#include "engine/transport/shm/shm_base.h"
#include "weir_libraries.h"

static const struct weir_transport_kind local = {
    .name = "local", .summary = "ranks are threads of one process, slots are shared memory", .one_process = true};

/* In the library itself.  WEIR_NCCL_EMULATED: with a stand-in that is linked, in place of the plugin. */
static const struct weir_transport_kind *const linked[] = {
    &local,
    &weir_transport_shm,
#if WEIR_HAVE_MPI
    &weir_transport_mpi,
#endif
#if WEIR_HAVE_MPI && defined(WEIR_NCCL_EMULATED)
    &weir_transport_nccl,
#endif
    NULL,
};

static const char mpi_missing[] = "this build of Weir has no MPI: build it with -DWEIR_MPI=ON (Debian: libopenmpi-dev)";

#if WEIR_HAVE_MPI
#define OF_MPI(function) function
#else
#define OF_MPI(function) NULL
#endif

static const struct weir_plugin_carriers carriers = {
    .carriers_bytes = sizeof carriers,
    .kind_bytes = sizeof(struct weir_transport_kind),
    .config_bytes = sizeof(struct weir_transport_config),
    .info_bytes = sizeof(struct weir_transport_info),
    .spec_bytes = sizeof(struct weir_link_spec),
    .launch_is_process = weir_launch_is_process,
    .mpi_start = OF_MPI(weir_mpi_start),
    .mpi_open = OF_MPI(weir_mpi_open),
    .mpi_close = OF_MPI(weir_mpi_close),
    .shm_open = weir_shm_open,
    .shm_close = weir_shm_close,
    .shm_info = weir_shm_info,
    .shm_timeout_ns = weir_shm_timeout_ns,
    .shm_message_ns = weir_shm_message_ns,
    .shm_stop = weir_shm_stop,
    .shm_block = weir_shm_block,
    .shm_exchange = weir_shm_exchange,
    .shm_broadcast = weir_shm_broadcast,
    .shm_beat = weir_shm_beat,
    .shm_here = weir_shm_here,
    .shm_look = weir_shm_look,
};

/* The transport of the plugin of device cuda. */
static weir_status nccl_find(const struct weir_transport_kind **kind_out)
{
    const struct weir_plugin *plugin;
    weir_status status = weir_plugin_find("cuda", &plugin);
    if (status)
        return weir_error_prefix(status, "transport 'nccl': ");
    const struct weir_transport_kind *kind = plugin->transport ? plugin->transport(&carriers) : NULL;
    if (!kind)
        return WEIR_FAIL(WEIR_ERR_USAGE, "transport 'nccl' is not in the plugin of device 'cuda', or was built for another library: build "
                                         "it with -DWEIR_CUDA=ON -DWEIR_NCCL=ON");
    *kind_out = kind;
    return WEIR_OK;
}

static const struct weir_transport_kind *linked_find(const char *name)
{
    const struct weir_transport_kind *const *kind = linked;
    while (*kind && strcmp((*kind)->name, name) != 0)
        kind++;
    return *kind;
}

weir_status weir_transport_find(const char *name, const struct weir_transport_kind **kind_out)
{
    static const char *const known[] = {"local", "shm", "mpi", "nccl", NULL};
    const struct weir_transport_kind *kind = linked_find(name ? name : local.name);
    if (kind) {
        *kind_out = kind;
        return WEIR_OK;
    }
    if (!strcmp(name, "mpi"))
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s", mpi_missing);
    return strcmp(name, "nccl") ? weir_unknown("transport", name, known) : nccl_find(kind_out);
}

const struct weir_transport_kind *weir_transport_kind_at(int i)
{
    const int n = sizeof linked / sizeof *linked - 1;
    const struct weir_transport_kind *kind = NULL;
    if (i < n)
        return i < 0 ? NULL : linked[i];
    return i == n && !linked_find("nccl") && !nccl_find(&kind) ? kind : NULL;
}

void weir_transport_forgo(void)
{
#if WEIR_HAVE_MPI
    weir_mpi_forgo();
#endif
}

weir_status weir_transport_communicator(int handle, int64_t *communicator_out)
{
#if WEIR_HAVE_MPI
    weir_status status = weir_mpi_communicator_check(weir_communicator_of(handle));
#else
    weir_status status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "a communicator was given, but %s", mpi_missing);
#endif
    if (!status)
        *communicator_out = weir_communicator_of(handle);
    return status;
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
