#include "engine/transport/transport.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "weir_parts.h"

static const struct weir_transport_kind local = {
    .name = "local", .summary = "ranks are threads of one process, slots are shared memory", .one_process = true};

const struct weir_transport_kind *const weir_transport_kinds[] = {
    &local,
#if WEIR_HAVE_MPI
    &weir_transport_mpi,
#endif
    NULL,
};

static const char mpi_missing[] = "this build of Weir has no MPI: build it with -DWEIR_MPI=ON (Debian: libopenmpi-dev)";

/* A launcher started this process as one of several when such a variable says more than 1. */
static const char *const size_variables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", NULL};

static const char *launcher_variable(void)
{
    for (const char *const *name = size_variables; *name; name++) {
        const char *value = getenv(*name);
        int64_t size;
        if (value && weir_parse_int64(value, &size) && size > 1)
            return *name;
    }
    return NULL;
}

weir_status weir_transport_find(const char *name, const struct weir_transport_kind **kind_out)
{
    static const char *const known[] = {"local", "mpi", "nccl", NULL};
    if (!name) {
        const char *variable = launcher_variable();
        if (variable && !WEIR_HAVE_MPI)
            return WEIR_FAIL(WEIR_ERR_USAGE,
                             "%s=%s says that a launcher started several processes, but %s; start one process, or give "
                             "--transport local to run each alone",
                             variable, getenv(variable), mpi_missing);
        name = variable ? "mpi" : "local";
    }
    for (const struct weir_transport_kind *const *kind = weir_transport_kinds; *kind; kind++)
        if (!strcmp((*kind)->name, name)) {
            *kind_out = *kind;
            return WEIR_OK;
        }
    if (!strcmp(name, "mpi"))
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s", mpi_missing);
    for (const char *const *k = known; *k; k++)
        if (!strcmp(*k, name))
            return WEIR_FAIL(WEIR_ERR_USAGE, "transport '%s' is not in this version of Weir: use --transport local", name);
    return weir_unknown("transport", name, known);
}
