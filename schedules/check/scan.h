/* Scan: what can be said about a schedule by reading its lists, without running them.
 *
 * One pass finds who holds which stage, one pass checks every list: each action once, in range, on one rank, after what
 * it needs from its own list, nothing missing, every send with its receive.  On the way it counts what is held in
 * flight, from which the slots follow:
 *
 *     boundary-input slots of a stage   peak in flight + 1       an input arrives ........ end of its W or B
 *     gradient slots of a stage         2                        a gradient arrives ...... end of its I or B
 *
 * and more where a rank would wait for them (flow_slots.c).
 * A stage whose neighbour is on the same rank gets as many slots as the list shows are needed, and never waits.
 *
 * What goes between stages that are no neighbours has slots of its own: as many as are in flight at most on either of them, and
 * one more, in both directions.  Where a schedule waits in a circle with so many, it is tried with twice as many.
 *
 * With two copies of the weights a stage stands on two ranks; a *unit* is a stage on a rank, unit = stage · copies +
 * copy.  A micro-batch stays on one unit of each stage, and every unit is fed by one rank. */
#ifndef WEIR_SCHEDULES_CHECK_SCAN_H
#define WEIR_SCHEDULES_CHECK_SCAN_H

#include "include/weir/schedule.h"

enum weir_direction { WEIR_DIRECTION_FORWARD, WEIR_DIRECTION_BACKWARD };

struct weir_scan_unit {
    int rank;                          /* -1: no such unit */
    int peak;                          /* activations in flight at most */
    int feeder[2];                     /* rank its input (forward) and gradient (backward) come from; -1: none */
    int slots[2];                      /* boundary-input and gradient slots */
    int in_flight, held[2], last_grad; /* of the walk */
    bool reduced;                      /* its REDUCE_GRAD has been passed */
};

/* One end of a boundary, as a stage sees it. */
struct weir_scan_end {
    int stage; /* at the other end */
    int row;   /* of neighbours -1, see weir_scan_row(); else the boundary's own row */
};

struct weir_scan_ends {
    struct weir_scan_end *list;
    int n;
};

struct weir_scan {
    const struct weir_schedule *schedule;
    struct weir_scan_ends *ins, *outs; /* [n_stages]: boundaries into and out of each */
    int n_rows; /* of the tables below: n_stages, and one for each boundary between stages that are no neighbours */
    struct weir_schedule_boundary *longs; /* [n_rows - n_stages]: these */
    bool trainable, wgrad_ascending;
    size_t stride;                /* entries per row in the tables below, at least n_microbatches */
    size_t n_cells;               /* n_rows × stride */
    uint8_t *seen;                /* [n_rows][stride]: one bit per action type */
    uint8_t *copy;                /* [n_rows][stride], NULL when there is one copy */
    struct weir_scan_unit *units; /* [n_rows][n_copies] */
    int *rank_peak;               /* [n_ranks] */
    int *rank_reduces;            /* [n_ranks]: REDUCE_GRAD actions */
    size_t n_compute;             /* F, I, W and B in all lists */
    size_t n_waits;               /* WAIT actions in all lists */
    const struct weir_schedule *file; /* what was given, when `schedule` has SENDs, RECVs or reductions that were added; else NULL */
};

/* Scan `schedule`; everything found lives in `arena`.  With long boundaries it must not have SENDs and RECVs.
 * WEIR_ERR_INVALID names row, cell and reason; WEIR_ERR_NOMEM. */
weir_status weir_scan_build(const struct weir_schedule *schedule, struct weir_arena *arena, struct weir_scan *scan_out);

/* The part that a file must satisfy to be read: ranges, duplicates, placement, nothing missing. */
weir_status weir_scan_placement_build(const struct weir_schedule *schedule, struct weir_arena *arena, struct weir_scan *scan_out);

/* The WAITs of a schedule whose placement is sound: each once, after what it waits for on its rank; where SENDs are waited
 * for, all of them.  Works in `work`.  WEIR_ERR_INVALID names row, cell and reason; WEIR_ERR_NOMEM. */
weir_status weir_scan_waits_check(const struct weir_scan *scan, struct weir_arena *work);

/* ---- boundaries ----------------------------------------------------------------------------------------------------- */

/* Rows of the tables: the schedule's stages and its long boundaries. */
int weir_scan_rows(const struct weir_schedule *schedule);

/* Ends of every stage.  WEIR_ERR_NOMEM. */
weir_status weir_scan_ends_build(struct weir_scan *scan, struct weir_arena *arena);

/* Slots of long boundaries, when all lists have been walked; then twice as many: false when there is one per micro-batch. */
void weir_scan_longs_count(struct weir_scan *scan);
bool weir_scan_longs_double(struct weir_scan *scan);

/* ---- messages ---------------------------------------------------------------------------------------------------- */

#define WEIR_PLACE_TEXT 64

/* "row 2, cell 5", counted from 1: where an action of a list stands in its file.  Of a schedule that does not come from a file:
 * where it would stand. */
const char *weir_scan_place(const struct weir_scan *scan, int rank, size_t index, char text[WEIR_PLACE_TEXT]);

/* WEIR_ERR_INVALID: the action stands somewhere else, too. */
weir_status weir_scan_twice(const struct weir_scan *scan, int rank, size_t index);

/* WEIR_ERR_INVALID: a SEND or RECV is there without its other end. */
weir_status weir_scan_unmatched(const struct weir_scan *scan, const struct weir_action *there, const struct weir_action *missing);

/* WEIR_ERR_INVALID: an action is missing.  Or one is too many: a number typed wrong asks for a whole micro-batch or
 * stage, and the message names the row of the action that does. */
weir_status weir_scan_missing(const struct weir_scan *scan, int stage, int mb, enum weir_action_type type);
weir_status weir_scan_too_few(const struct weir_schedule *schedule, uint64_t wanted, uint64_t forwards);

/* ---- look-ups ---------------------------------------------------------------------------------------------------- */

static inline size_t weir_scan_index(const struct weir_scan *scan, int stage, int mb)
{
    return (size_t)stage * scan->stride + (size_t)mb;
}

static inline int weir_scan_unit_index(const struct weir_scan *scan, int stage, int mb)
{
    return scan->copy ? stage * scan->schedule->n_copies + scan->copy[weir_scan_index(scan, stage, mb)] : stage;
}

static inline struct weir_scan_unit *weir_scan_unit(const struct weir_scan *scan, int stage, int mb)
{
    return &scan->units[weir_scan_unit_index(scan, stage, mb)];
}

/* The unit of a stage on a rank that holds it. */
static inline int weir_scan_stage_unit(const struct weir_scan *scan, int stage, int rank)
{
    int unit = stage * scan->schedule->n_copies;
    while (scan->units[unit].rank != rank)
        unit++;
    return unit;
}

/* What `action` takes from other stages, and to which it hands its result; weight gradients have neither. */
static inline struct weir_scan_ends weir_scan_sources(const struct weir_scan *scan, const struct weir_action *action)
{
    return action->type == WEIR_F                             ? scan->ins[action->stage]
           : action->type == WEIR_I || action->type == WEIR_B ? scan->outs[action->stage]
                                                              : (struct weir_scan_ends){NULL, 0};
}

static inline struct weir_scan_ends weir_scan_targets(const struct weir_scan *scan, const struct weir_action *action)
{
    return action->type == WEIR_F                             ? scan->outs[action->stage]
           : action->type == WEIR_I || action->type == WEIR_B ? scan->ins[action->stage]
                                                              : (struct weir_scan_ends){NULL, 0};
}

/* The row of what comes to `receiver` over the boundary.  The receive of a message has it in place of a stage. */
static inline int weir_scan_row(const struct weir_scan_end *end, int receiver)
{
    return end->row < 0 ? receiver : end->row;
}

static inline int weir_scan_receiver(const struct weir_scan *scan, const struct weir_action *receive)
{
    int n = scan->schedule->n_stages;
    if (receive->stage < n)
        return receive->stage;
    return receive->type == WEIR_RECV_F ? scan->longs[receive->stage - n].to : scan->longs[receive->stage - n].from;
}

static inline int weir_scan_sender(const struct weir_scan *scan, const struct weir_action *receive)
{
    int n = scan->schedule->n_stages;
    bool forward = receive->type == WEIR_RECV_F;
    if (receive->stage < n)
        return receive->stage + (forward ? -1 : 1);
    return forward ? scan->longs[receive->stage - n].from : scan->longs[receive->stage - n].to;
}

/* The rank of the neighbour that the result of a forward or backward goes to; -1 when nobody needs it. */
static inline int weir_scan_target(const struct weir_scan *scan, const struct weir_action *action)
{
    int next = action->type == WEIR_F ? action->stage + 1 : action->type == WEIR_W ? -1 : action->stage - 1;
    if (next < 0 || next >= scan->schedule->n_stages)
        return -1;
    return weir_scan_unit(scan, next, action->mb)->rank;
}

/* The rank of the neighbour that a forward's input or a backward's gradient comes from; -1 when it needs none. */
static inline int weir_scan_source(const struct weir_scan *scan, const struct weir_action *action)
{
    int from = action->type == WEIR_F ? action->stage - 1 : action->type == WEIR_W ? -1 : action->stage + 1;
    if (from < 0 || from >= scan->schedule->n_stages)
        return -1;
    return weir_scan_unit(scan, from, action->mb)->rank;
}

#endif
