/* The parts of `weir info` that have files of their own. */
#ifndef WEIR_CMD_INFO_SHARED_H
#define WEIR_CMD_INFO_SHARED_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* What the environment says of this process: one line on stdout, or an object. */
void info_launcher_print(void);
json_t *info_launcher_json(void);

/* A run whose processes are to be placed, as options say. */
struct info_placement {
    const char *order, *schedule, *topology; /* topology NULL: this machine */
    bool stages_given;
    int64_t stages, chunks, replicas, threads, ranks_per_host; /* ranks_per_host 0: all */
};

/* What each process plays and where it runs: a table on stdout, or one object.  *code_out is the exit status when that
 * could not be written. */
weir_status info_placement_print(const struct info_placement *options, bool json, int *code_out);

#endif
