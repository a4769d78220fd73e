/* What this build has and what this machine is: what `weir info` shows.
 *
 *     char machine[256];
 *     if (!weir_info_machine(machine, sizeof machine))
 *         printf("%s, %d cores, %s\n", machine, weir_info_cores(), weir_info_instructions());
 *     for (int i = 0; weir_info_device(i); i++) {
 *         int n = 0;
 *         if (weir_info_device_count(i, &n))
 *             printf("%s: %s\n", weir_info_device(i), weir_last_error());       why there is none
 *         else
 *             printf("%s: %d\n", weir_info_device(i), n);
 *     }
 *
 * Lists are by number, from 0 on, and end where the name is NULL; of a number beyond the end all is NULL.  Texts live as long as
 * the program.  Any thread may ask. */
#ifndef WEIR_INFO_H
#define WEIR_INFO_H

#include <stdbool.h>
#include <stddef.h>

#include "common.h"

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* The machine: processor, packages, cores, memory, in one line that is cut at `room` bytes. */
weir_status weir_info_machine(char *text, size_t room);

/* Cores that this process may use. */
int weir_info_cores(void);

/* "avx512_bf16", "avx512", "avx2", "sse2", "other": the largest set of vector instructions of this processor that kernels and
 * libraries make use of. */
const char *weir_info_instructions(void);

/* Kinds of devices that can be had here: "cpu", with one line about each.  Those of plugins that load come last. */
const char *weir_info_device(int index);
const char *weir_info_device_summary(int index);

/* Does a run on these devices (a list as in the configuration of an engine: "null") compute nothing?  false: also of a list that cannot be
 * read. */
bool weir_info_device_is_dry(const char *devices);

/* How many devices of a kind there are.  Fails where the kind cannot be used here, and the message says why: WEIR_ERR_DEVICE,
 * WEIR_ERR_UNSUPPORTED.  WEIR_ERR_INVALID: no such kind. */
weir_status weir_info_device_count(int index, int *n_out);

/* Is there a kind called `name`, as "cuda"?  A plugin that brings it is loaded for that; the message says why there is none. */
weir_status weir_info_device_find(const char *name);

/* Transports of this build: "local", "shm", with one line about each. */
const char *weir_info_transport(int index);
const char *weir_info_transport_summary(int index);

/* Libraries that a build may have: "oneDNN".  The version is NULL where this build lacks it; the option is the one of CMake that
 * decides. */
const char *weir_info_library(int index);
const char *weir_info_library_version(int index);
const char *weir_info_library_option(int index);

/* Does anything in this version use it? */
bool weir_info_library_is_used(int index);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
