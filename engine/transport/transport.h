/* Transports: how stages of different ranks hand over.
 *
 * `local`: all ranks are threads of this process.  A producer's last kernel writes straight into the receiver's slot; the
 * device's events order the two, so nothing is left to send.  Kinds that cross processes are known by name, so that a
 * build without them says which option it lacks. */
#ifndef WEIR_ENGINE_TRANSPORT_TRANSPORT_H
#define WEIR_ENGINE_TRANSPORT_TRANSPORT_H

#include <stdbool.h>

#include "base/status.h"

struct weir_transport_kind {
    const char *name, *summary;
    bool one_process; /* all ranks live in the calling process */
};

#ifdef __cplusplus
extern "C" {
#endif

extern const struct weir_transport_kind *const weir_transport_kinds[]; /* ends with NULL */

/* The kind called `name`; NULL: `local`, or mpi when a launcher (launcher.h) started this process as one of several
 * (the variable that says so is named in the message when that transport is not there).  WEIR_ERR_USAGE: unknown (with a
 * suggestion), not in this build, or variables of a launcher that contradict each other. */
weir_status weir_transport_find(const char *name, const struct weir_transport_kind **kind_out);

#ifdef __cplusplus
}
#endif

#endif
