/* Build: all that is known of a run before it has a device.
 *
 *     configuration ─▶ graph in its storage type ─▶ partition ─▶ schedule's report ─▶ programs, memory table
 *                                                                                          │
 *     what the devices have (count, bytes taken and free) ─▶ rows beside the blocks ───────┴─▶ does it fit?
 *                                                            (extra_memory.h)                  (fit.h)
 *
 * A build is a function of its arguments: no device is opened, no thread started, nothing read but what it is given.  The
 * engine builds and then opens devices for it; a preview builds and prints; the advice on what would fit builds once for
 * every change that it tries; generation builds two programs that share one memory.
 *
 *     struct weir_build build;
 *     status = weir_build_training(&config, kind, &arena, &build);
 *     weir_program_dump_memory(build.program, out);
 *
 * A build has a program and may have a *guest*: a forward-only program that runs between the runs of the first one, in its
 * memory (evaluation between steps; one token of every sample after the prompts). */
#ifndef WEIR_ENGINE_PROGRAM_BUILD_H
#define WEIR_ENGINE_PROGRAM_BUILD_H

#include "engine/device/device.h"
#include "include/weir/weir.h"
#include "engine/program/program.h"

/* Constant once it is made; all memory is the arena's. */
struct weir_build {
    struct weir_engine_config config; /* as given; generation: with the schedule of its tokens */
    const struct weir_device_kind *kind;
    const struct weir_graph *graph; /* the configuration's, cast to its storage type */
    const struct weir_graph *const *slices; /* [n_slices of the schedule]: parts of graph; NULL: sequences are whole */
    const int *first_layer;         /* [n_stages + 1] */
    const bool *recompute;          /* [n_layers] */
    const struct weir_fetch *fetches; /* [n_fetches]: values that the guest keeps (fetches.h) */
    int n_fetches;
    const struct weir_update_scale *update_scales; /* [n_params]; training only */
    int n_replicas; /* the program's: copies of the weights count */
    struct weir_program *program; /* a step; generation: prompts */
    struct weir_program *guest;   /* NULL: none */
    struct weir_program *update;  /* the end of a step by itself; NULL: none */
    enum weir_memory_kind guest_scratch; /* the block that holds the guest's SCRATCH */
    const char *smaller; /* generation: the options that make it smaller; NULL: they are found by trying */
};

/* All replicas together: streams and devices, processes where there are several.  With two copies of the weights each runs two
 * of the program's ranks (program.h). */
static inline int weir_build_n_workers(const struct weir_build *build)
{
    return build->program->n_ranks * (build->n_replicas / build->program->n_copies);
}

/* Of all replicas' workers, the one that runs rank `index` of `replica`. */
static inline int weir_build_worker(const struct weir_build *build, int replica, int index)
{
    const struct weir_program *program = build->program;
    return replica / program->n_copies * program->n_ranks + weir_program_worker(program, replica % program->n_copies, index);
}

/* Is the memory of its devices the host's? */
static inline bool weir_build_is_on_host(const struct weir_build *build)
{
    return build->kind->flags & WEIR_DEVICE_HOST_MEMORY;
}

/* WEIR_ERR_UNSUPPORTED where the device computes nothing, and so has no `what` ("checkpoint"). */
weir_status weir_build_computes(const struct weir_device_kind *kind, const char *what);

/* A training step; with config->evaluates its forwards as the guest, with config->updates_apart its end by itself.  `config` and what it points to must outlive the
 * build.  WEIR_ERR_USAGE, WEIR_ERR_INVALID: the configuration, or a schedule or partition that cannot be compiled.
 * WEIR_ERR_UNSUPPORTED: the kind of device lacks an operation or the storage type. */
weir_status weir_build_training(const struct weir_engine_config *config, const struct weir_device_kind *kind,
                                struct weir_arena *arena, struct weir_build *build_out);

/* Forwards over a chunk of a prompt (config->graph), and with one token of every sample as the guest. */
struct weir_generation_params {
    const struct weir_graph *token; /* the graph of one token; that of a chunk is config->graph */
    int n_stages;                   /* one per rank */
    int n_chunks, n_samples;        /* micro-batches of the two programs */
};

/* config->schedule is not read. */
weir_status weir_build_generation(const struct weir_engine_config *config, const struct weir_generation_params *params,
                                  const struct weir_device_kind *kind, struct weir_arena *arena,
                                  struct weir_build *build_out);

/* The device kind of the configuration.  WEIR_ERR_USAGE: unknown, or it lacks the dtype. */
weir_status weir_build_kind_find(const struct weir_engine_config *config, const struct weir_device_kind **kind_out);

/* The same for a build that is not run: any kind, in every build of the library (weir_device_kind_plan). */
weir_status weir_build_kind_plan(const struct weir_engine_config *config, const struct weir_device_kind **kind_out);

#endif
