/* Plugins: a device, and its transport, in a library of its own that is loaded when the device is asked for.
 *
 *     weir train --device cuda       libweir, or a program with libweir.a in it, loads libweir_cuda.so
 *     weir train --device cpu        nothing of CUDA or NCCL is loaded, nor has to be there
 *
 * So one build serves machines with and without GPUs.  The plugin gives tables (device.h, transport.h), the library gives the
 * functions that a plugin needs of it.  Neither links the other: what the plugin calls by the names of base/ are forwards in
 * engine/plugin/plugin_host.c, so that messages, allocations and logs are the library's own.
 *
 *     library                                       libweir_cuda.so
 *     weir_plugin_find ──── dlopen, dlsym ────────▶ weir_plugin_entry(&host, &plugin)
 *                      ◀─── plugin.device, plugin.transport
 *
 * Structs go over this border as both sides were compiled, so both must be of one version: each compares the other's stamp, and
 * refuses what differs by name. */
#ifndef WEIR_ENGINE_DEVICE_PLUGIN_H
#define WEIR_ENGINE_DEVICE_PLUGIN_H

#include "base/arena.h"
#include "engine/device/device.h"
#include "weir_libraries.h"

enum { WEIR_PLUGIN_INTERFACE = 1 }; /* counted up when something in the tables means something else */

/* Of one compilation.  The first two fields stay where they are. */
struct weir_plugin_stamp {
    uint32_t stamp_bytes, interface;
    char version[24]; /* WEIR_VERSION */
    uint32_t host_bytes, device_bytes, vectors_bytes, op_bytes, call_bytes, shapes_bytes;
};

/* What the library gives: functions of base/ and kernels/ under their own names. */
struct weir_plugin_host {
    struct weir_plugin_stamp stamp;
    weir_status (*alloc)(size_t count, size_t size, void *pointer_out);
    weir_status (*grow)(void *items, size_t *capacity, size_t need, size_t size);
    void (*free)(void *pointer);
    weir_status (*arena_alloc)(struct weir_arena *arena, size_t count, size_t size, void *pointer_out);
    void (*arena_release)(struct weir_arena *arena);
    weir_status (*error_record)(weir_status status, const char *format, ...);
    weir_status (*error_prefix)(weir_status status, const char *format, ...);
    void (*error_put)(const char *message);
    void (*error_take)(char message_out[WEIR_ERROR_MAX]);
    const char *(*last_error)(void);
    const char *(*status_str)(weir_status status);
    void (*log)(enum weir_log_level level, const char *format, ...);
    int64_t (*clock_ns)(void);
    uint64_t (*hash64)(const void *data, size_t bytes, uint64_t seed);
    bool (*parse_int64)(const char *text, int64_t *value_out);
    uint32_t (*process_number)(void);
    weir_status (*process_check)(uint32_t number, const char *what);
    weir_status (*kernel_table_find)(const struct weir_kernel_table *table, const struct weir_op *op,
                                     const struct weir_op_kernels *own, const struct weir_op_kernels **kernels_out);
};

struct weir_transport_kind;  /* engine/transport/transport.h */
struct weir_plugin_carriers; /* engine/transport/plugin_carriers.h: what a transport of a plugin needs of the library's */

/* What the plugin gives. */
struct weir_plugin {
    struct weir_plugin_stamp stamp;
    const struct weir_device_kind *device;

    /* (optional) Its transport.  `carriers` must live as long as the process.  NULL: the plugin was built for other structs. */
    const struct weir_transport_kind *(*transport)(const struct weir_plugin_carriers *carriers);
};

/* The one name that a plugin exports.  `host` must live as long as the process.  NULL: it is of another version;
 * *stamp_out tells which in any case. */
typedef const struct weir_plugin *(*weir_plugin_entry_fn)(const struct weir_plugin_host *host, struct weir_plugin_stamp *stamp_out);
#define WEIR_PLUGIN_ENTRY "weir_plugin_entry"

static inline struct weir_plugin_stamp weir_plugin_stamp(size_t vectors_bytes)
{
    struct weir_plugin_stamp stamp = {
        sizeof(struct weir_plugin_stamp), WEIR_PLUGIN_INTERFACE, WEIR_VERSION, sizeof(struct weir_plugin_host),
        sizeof(struct weir_device_kind), (uint32_t)vectors_bytes, sizeof(struct weir_op), sizeof(struct weir_op_call),
        sizeof(struct weir_op_shapes)};
    return stamp;
}

/* The plugin of the device called `name` ("cuda"), loaded at the first call and kept to the end of the process.
 *
 * It is the file named by the variable WEIR_CUDA_PLUGIN; else libweir_cuda.so.0 beside the library or the program that has this
 * code in it, in a folder lib there, or in the folder lib beside that one's; else what the system finds by that name.
 *
 * WEIR_ERR_USAGE: it is not there; the message says where it was looked for.  WEIR_ERR_UNSUPPORTED: what it needs is not there, or
 * it is of another version; the message names the file and the reason.  Threads: any. */
weir_status weir_plugin_find(const char *name, const struct weir_plugin **plugin_out);

#endif
