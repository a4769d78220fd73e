/* Does a build fit into what the devices have?  And if not, what would?
 *
 *     struct weir_fit fit = weir_fit_weigh(&build, &extras, &have);
 *     if (!fit.fits)
 *         return weir_fit_refuse(&build, &fit);     rank 1 (stage 1) needs 130023424 bytes (124.0 MiB), the cap is ...:
 *                                                   it fits with recompute=full, or with stages=4
 *
 * A verdict is data; weir_fit_refuse() words it.  It names only changes that were built and found to fit: for each of
 * recomputation, ZeRO-1, bf16, more stages, smaller micro-batches and another schedule the first value that does.  Where
 * none does alone, each is tried together with full recomputation.  Where nothing fits both the cap and this machine, changes
 * that fit the cap alone are named, with what all ranks need then.  Where parameters, gradients and the optimizer's state
 * alone are more than the machine has, nothing is tried.  Generation has its options named instead (weir_build.smaller).  No device is
 * asked: `have` says what there is. */
#ifndef WEIR_ENGINE_PROGRAM_FIT_H
#define WEIR_ENGINE_PROGRAM_FIT_H

#include "engine/program/extra_memory.h"
#include "include/weir/report.h"

/* A change to the configuration under which the run fits; 0, false and NULL: as it is. */
struct weir_fit_way {
    bool no_copy;               /* checkpoint_sync: no snapshots */
    bool no_pack;               /* no weights in the form of the matrix products */
    bool recompute, zero, bf16; /* recompute=full, zero=1, dtype=bf16 */
    int n_stages;
    int64_t microbatch_size;
    const struct weir_schedule_kind *kind;
    int n_chunks;
    int n_ranks; /* of all replicas; and what they take together: */
    size_t all;
};

enum { WEIR_FIT_WAYS = 8 };

struct weir_fit {
    bool fits;
    int rank;            /* of a pipeline: the one that needs most */
    size_t most, all;    /* bytes of that rank on its device, and of all ranks of all replicas together */
    size_t rank_cap;     /* SIZE_MAX: none */
    size_t free_bytes;   /* that all ranks together may take; SIZE_MAX: not known, or each device was weighed by itself */
    int n_over;          /* ranks of a pipeline over the cap */

    /* When a device is too small for the ranks on it: that device; else `device` is WEIR_DEVICE_ELSEWHERE. */
    int device, n_on_device;
    size_t device_need, device_free, device_total;

    bool same_ranks;     /* more ranks would not help */
    bool by_cap_alone;   /* the ways keep to the cap, but need more than free_bytes together: none does both */
    size_t kept;         /* > 0: nothing was tried, as parameters, gradients and optimizer's state alone are more than free_bytes */
    bool replicas_help, sgd_helps; /* then: a single replica of them, or one without the state, would not be */
    size_t least;        /* fewest bytes, of what is too much, of all that was tried */
    int n_ways;
    struct weir_fit_way ways[WEIR_FIT_WAYS];
};

struct weir_fit weir_fit_weigh(const struct weir_build *build, const struct weir_extras *extras,
                               const struct weir_resources *have);

/* Record what does not fit and what would, and return WEIR_ERR_NOFIT (or WEIR_ERR_NOMEM). */
weir_status weir_fit_refuse(const struct weir_build *build, const struct weir_fit *fit);

/* The memory table of a build; where a rank is over the cap, *report_out is made and weir_fit_refuse's status is returned. */
weir_status weir_fit_report(const struct weir_build *build, const struct weir_extras *extras, const struct weir_resources *have,
                            struct weir_arena *arena, struct weir_memory_report *report_out);

#endif
