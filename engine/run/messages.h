/* Which messages a program needs between ranks that do not see each other's memory. */
#ifndef WEIR_ENGINE_RUN_MESSAGES_H
#define WEIR_ENGINE_RUN_MESSAGES_H

#include "engine/run/runner.h"

/* The messages of a run that start or end in this process, with its events known; on device-side transports also edges and
 * groups.  Adds to `spec`; memory of `arena`. */
weir_status weir_messages_make(const struct weir_run *run, struct weir_arena *arena, struct weir_link_spec *spec);

#endif
