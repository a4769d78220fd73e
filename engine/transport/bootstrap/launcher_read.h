/* Reading the variables of launchers: what the files of launcher.h share. */
#ifndef WEIR_ENGINE_TRANSPORT_BOOTSTRAP_LAUNCHER_READ_H
#define WEIR_ENGINE_TRANSPORT_BOOTSTRAP_LAUNCHER_READ_H

#include <stdint.h>
#include <stdio.h>

#include "engine/transport/bootstrap/launcher.h"

/* A number of at least `least`; -1, with WEIR_OK, when `name` is NULL or not set. */
weir_status weir_launcher_number_read(const char *const *environment, const char *name, int least, int *value_out);

/* WEIR_ERR_USAGE: `set` is set and `missing` is not. */
weir_status weir_launcher_half_set(const char *const *environment, const char *set, const char *missing);

/* `value` must be less than `limit`, when both are known. */
weir_status weir_launcher_below_check(const char *name, int value, const char *limit_name, int limit);

/* Services that start one process per host; leaves *launcher alone when there is none.  WEIR_ERR_USAGE. */
weir_status weir_launcher_hosts_read(const char *const *environment, struct weir_launcher *launcher);

static inline void weir_launcher_first_host_set(struct weir_launcher *launcher, const char *name)
{
    if (name)
        snprintf(launcher->first_host, sizeof launcher->first_host, "%s", name);
}

#endif
