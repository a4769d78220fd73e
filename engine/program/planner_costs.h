/* What the planner knows of one micro-batch size: times and bytes of layers, and of stages made of them.
 *
 * Times are sums over layers.  Bytes of stages are those of a compiled program, which packs; they are made when they are asked for,
 * once for each number of stages and way to recompute. */
#ifndef WEIR_ENGINE_PROGRAM_PLANNER_COSTS_H
#define WEIR_ENGINE_PROGRAM_PLANNER_COSTS_H

#include "engine/program/planner.h"
#include "engine/program/planner_cuts.h"
#include "engine/program/recompute_choice.h"
#include "engine/program/stage_costs.h"

enum { WEIR_PLANNER_MOST_STAGES = 512, WEIR_PLANNER_MOST_LAYERS = 4096, WEIR_PLANNER_MOST_RANKS = 64, WEIR_PLANNER_MOST_CHUNKS = 8,
       WEIR_PLANNER_WAYS = 2, WEIR_PLANNER_MOST_BY_RANKS = 32 /* stages that are cut by ranks, too */ };

/* Places for cuts: by the number of stages, or by that of ranks, of chunks (1, 2, 4, 8) and by their order. */
enum { WEIR_PLANNER_SLOTS = 2 * 4 * (WEIR_PLANNER_MOST_RANKS + 1) };

struct weir_planner_stages {
    enum weir_planner_by by;
    int slot;
    const int *first_layer;
    const struct weir_stage_costs *costs; /* times on the ranks' devices */
    const double *speed; /* [n_stages]; NULL: devices alike */
    const struct weir_stage_costs *lean; /* [n_stages]: the same stages with all layers recomputed; NULL: not asked for */
    int n_recomputed;
};

struct weir_planner_costs {
    const struct weir_planner_request *request;
    int64_t microbatch_size;
    const struct weir_planner_costs *before; /* another size, whose programs' bytes are taken for a cut that is the same */
    struct weir_arena arena;
    const struct weir_graph *plain, *graph; /* f32, which a build casts itself; in its storage type */
    const struct weir_stage_costs *layers[WEIR_PLANNER_WAYS]; /* [n_layers]: times alone */
    const double *kept, *kept_full, *replay; /* [n_layers]: bytes of activations as they are and recomputed; ms of that */
    const double *params;                    /* [n_layers]: bytes */
    double border_bytes;                     /* of the widest value between layers */
    double least_activations;                /* bytes of a micro-batch on all layers */
    struct weir_stage_costs all;             /* one stage that has everything */
    bool is_plain;                           /* planner_cuts.h */
    const struct weir_stage_costs *times[WEIR_PLANNER_WAYS][WEIR_PLANNER_CUTS][WEIR_PLANNER_SLOTS];
    const int *cuts[WEIR_PLANNER_WAYS][WEIR_PLANNER_CUTS][WEIR_PLANNER_SLOTS];
    bool none[WEIR_PLANNER_WAYS][WEIR_PLANNER_CUTS][WEIR_PLANNER_SLOTS]; /* it is the cut by work */
    struct weir_planner_stages stages[WEIR_PLANNER_WAYS][WEIR_PLANNER_CUTS][WEIR_PLANNER_SLOTS];
};

/* What is chosen from: none and full, or the one that is asked for. */
int weir_planner_n_ways(const struct weir_planner_request *request);
const char *weir_planner_way_name(const struct weir_planner_request *request, int way);

/* The struct lives in `arena`; what it makes lives until it is closed. */
weir_status weir_planner_costs_open(const struct weir_planner_request *request, int64_t microbatch_size,
                                    const struct weir_planner_costs *before, struct weir_arena *arena, struct weir_planner_costs **costs_out);
void weir_planner_costs_close(struct weir_planner_costs *costs);

/* Times alone, [n_stages], of the cut with the least bottleneck on devices alike; NULL where another cut is that by work, is no
 * better, or would have fewer stages. */
weir_status weir_planner_times(struct weir_planner_costs *costs, int way, enum weir_planner_by by, const struct weir_planner_shape *shape,
                               const struct weir_stage_costs **stages_out);

/* All devices of an arrangement, or of none, are as fast. */
bool weir_planner_are_alike(const struct weir_arrangement *arrangement);

/* All costs of the stages of a schedule.  Where an arrangement's devices differ in speed, times follow, and with one stage per rank
 * the cut by work does, too.  What must outlive `costs` is in `arena`. */
weir_status weir_planner_stages(struct weir_planner_costs *costs, int way, enum weir_planner_by by, enum weir_planner_order order,
                                const struct weir_schedule *schedule,
                                const struct weir_arrangement *arrangement, struct weir_arena *arena, struct weir_planner_stages *out);

/* What those stages take with given layers recomputed: the program's bytes with none and with all of them, and between the two as
 * many as the layers keep.  `list_out` names them, as a configuration does. */
weir_status weir_planner_recompute(struct weir_planner_costs *costs, const bool *recompute, struct weir_arena *arena,
                                   struct weir_planner_stages *stages, int n_stages, const char **list_out);

/* Costs of single layers, [n_layers], on a device of speed 1.  Times are their own; bytes are those of `stages`, each stage's shared out by
 * what its layers keep and by their parameters.  `list` is what the stages recompute. */
weir_status weir_planner_layers(const struct weir_planner_costs *costs, int way, const char *list, const struct weir_planner_stages *stages,
                                int n_stages, struct weir_arena *arena, struct weir_stage_costs **layers_out);

/* The stages of another cut: sums of those layers; nearly right, at once. */
void weir_planner_stages_sum(const struct weir_stage_costs *layers, const int *first_layer, int n_stages, const double *speed,
                             struct weir_stage_costs *stages_out);

/* The same as they are, with the bytes of a compiled program.  stages->first_layer and speed are given. */
weir_status weir_planner_stages_cut(const struct weir_planner_costs *costs, const char *list, const struct weir_stage_costs *layers,
                                    int n_stages, struct weir_arena *arena, struct weir_planner_stages *stages);

#endif
