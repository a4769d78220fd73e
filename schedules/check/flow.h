/* Flow: run the lists of a schedule through a channel model.
 *
 * The order of work is fixed, so every start time is the largest of a few end times: there is no clock to advance and
 * no event queue.  A rank runs until it needs something that is not there yet; whoever makes that wakes it.  Each
 * action is looked at once.  When nothing can go on and something is left, the schedule waits in a circle, and the
 * flow says which.
 *
 *     rank a   compute F(s,k) ──slot of stage s+1──▶ cell[s+1,k] made ──edge a → b──▶ arrived ──▶ rank b starts F(s+1,k)
 *                                    ▲
 *                       released by an earlier W or B
 *
 * As in the engine the rank itself writes its result into the slot: until that is free the rank goes no further, and what its
 * action has read it still holds.  Slots are taken in the order in which results are made (flow_slots.c counts them).
 *
 * Under the shared and blocking models the SEND and RECV actions of the lists take part: a transfer needs its two
 * ranks at the same time, at the head of their channels (shared) or of their lists (blocking), and needs no slot,
 * because such systems give every receive its own buffer.
 *
 * A cell is one double per (row, micro-batch, direction), a row being a stage or a boundary between stages that are no neighbours
 * (scan.h): infinity before anything is made, minus the time when it
 * has been made on another rank and waits for its transfer, the time of arrival afterwards. */
#ifndef WEIR_SCHEDULES_CHECK_FLOW_H
#define WEIR_SCHEDULES_CHECK_FLOW_H

#include "schedules/check/edges.h"

struct weir_flow_costs {
    const double *type;     /* [n_stages][4]: F, I, W, B; NULL: all 0 */
    const double *transfer; /* [n_edges]; NULL: all 0 */
    double overlap_gain;    /* an OVERLAP_F_B lasts this times F + B */
    const double *reduce;   /* [n_units]: the REDUCE_GRAD of a stage on a rank; NULL: all 0 */
};

/* What decided when an action or a transfer started. */
enum weir_flow_cause {
    WEIR_CAUSE_NONE,     /* nothing: it started at 0 */
    WEIR_CAUSE_RANK,     /* the action before it on its rank (blocking transfers: on the sender) */
    WEIR_CAUSE_FORWARD,  /* the arrival of its input */
    WEIR_CAUSE_BACKWARD, /* the arrival of its gradient */
    WEIR_CAUSE_PRODUCER, /* transfers: the action that made the message */
    WEIR_CAUSE_CHANNEL,  /* transfers: the transfer before it on its edge, or on the sender's channel; REDUCE_GRAD: the
                            one before it on its rank */
    WEIR_CAUSE_PEER,     /* transfers: what the receiver did before */
    WEIR_CAUSE_SLOT,     /* the release of a slot, which a transfer needs, or what the rank did before */
};

struct weir_flow_rank {
    size_t next;           /* action that comes next */
    double time;           /* end of the action before it, and of its wait for slots */
    bool ended;            /* the action has come to its end, and waits for slots */
    bool held;             /* `time` is the end of such a wait */
    double first;          /* start of the first action, -1 before it */
    double busy;           /* sum of the durations of its compute actions */
    double gained;         /* what OVERLAP_F_B saved of the sum of F and B: work = busy + gained */
    double exposed;        /* time lost to transfers: made, but not there yet */
    double reduced;        /* end of the last REDUCE_GRAD action */
    double reduce_work;    /* sum of their durations */
    const double *waiting; /* the cell it waits for, or NULL */
    size_t channel_next;   /* shared: first action of the list whose transfer is not done */
    double channel_time;   /* shared: end of the transfer before it */
    bool queued;
};

struct weir_flow_unit { /* 64 bytes: one cache line */
    bool remote[2];               /* its input or gradient comes from another rank */
    int slots[2];
    int free[2];                  /* slots that hold nothing */
    int32_t oldest[2], newest[2]; /* places in the ring: the release to take next, and where the next one goes */
    int blocked[2];               /* rank that waits for a slot, or -1 */
    double *released[2];          /* [slots]: times of the releases that free slots stem from, a ring; 0 at first */
};

struct weir_flow_edge { /* one cache line */
    const struct weir_action *messages;
    size_t n_messages, next; /* how many there are, and which comes next */
    double time, cost;       /* end of the transfer before it; duration of each */
    int to;
};

/* Optional records. */
struct weir_flow_record {
    double **start, **end; /* [n_ranks][n_actions] of compute and REDUCE_GRAD; the second part of an OVERLAP has none */
    uint8_t **cause;       /* [n_ranks][n_actions]; shared and blocking keep a transfer's at its SEND */
    int **holder;          /* [n_ranks][n_actions]: behind it the rank waited until a slot was free, the last that of so manieth target, from
                              1 on, those of the second part of an OVERLAP behind the others; 0: it did not wait */
    uint8_t **transfer_cause; /* [n_edges][n_messages] */
    double **transfer_end;    /* [n_edges][n_messages] */
};

struct weir_flow {
    const struct weir_scan *scan;
    const struct weir_schedule_edges *edges;
    enum weir_channels model;
    struct weir_flow_costs costs;
    struct weir_flow_record record;
    struct weir_flow_rank *ranks;
    struct weir_flow_unit *units;    /* [n_rows][n_copies] */
    struct weir_flow_edge *channels; /* [n_edges] */
    double *cells[2];                /* [n_rows][stride] per direction */
    double *delay[2];                /* the same: from the maker's end to the arrival, of what crosses ranks; NULL: not kept */
    struct weir_arena *growth; /* for more slots; NULL: there are no more */
    weir_status status;        /* of growth; then nothing grows any more */
    bool tight;                /* somewhere a slot was awaited, or free no earlier than it was needed */
    int *ready;                      /* ranks to look at */
    int n_ready;
};

/* WEIR_ERR_INVALID: the schedule has boundaries that these channels cannot have. */
weir_status weir_channels_take(enum weir_channels channels, const struct weir_schedule *schedule);

/* Prepare a flow over a scanned schedule and its edges.  All memory comes from `arena`.  The shared and blocking models
 * need a schedule with communication.  With `grows` slots between neighbours become more where a rank would wait for one.
 * WEIR_ERR_NOMEM. */
weir_status weir_flow_open(struct weir_flow *flow, enum weir_channels model, const struct weir_scan *scan,
                           const struct weir_schedule_edges *edges, bool grows, struct weir_arena *arena);

/* Run until the end.  WEIR_ERR_INVALID: the cycle in which the schedule waits. */
weir_status weir_flow_run(struct weir_flow *flow);

/* Prepare and run `flow` over the scan by `attempt`.  Where slots are tight they are counted, and it runs again; where it waits in
 * a circle again, with more slots for long boundaries. */
weir_status weir_flow_try(struct weir_flow *flow, struct weir_scan *scan, weir_status (*attempt)(void *context), void *context);

/* Run the lists under the edge model and give the scan as many slots between neighbours as no rank waits for when F, I and W take the
 * same time everywhere.  WEIR_ERR_INVALID: the cycle in which the schedule waits. */
weir_status weir_slots_count(struct weir_scan *scan, const struct weir_schedule_edges *edges);

/* The times of such a run: [n_stages][4]. */
weir_status weir_unit_times(int n_stages, struct weir_arena *arena, const double **type_out);

/* Prove that a scanned schedule comes to its end under `model`: the receives of its edges match the sends in order, and
 * nothing waits in a circle; under edge count the slots, too.  Everything lives in `work`.  WEIR_ERR_INVALID, WEIR_ERR_NOMEM. */
weir_status weir_flow_check(struct weir_scan *scan, enum weir_channels model, struct weir_arena *work);

/* ---- between the files of the flow ------------------------------------------------------------------------------- */

/* Places in the ring of a unit with so many slots: where these grow, a power of two. */
static inline int weir_flow_room(const struct weir_flow *flow, int slots)
{
    int room = 1;
    while (flow->growth && room < slots)
        room *= 2;
    return flow->growth ? room : slots;
}

/* Look at `rank` again. */
static inline void weir_flow_wake(struct weir_flow *flow, int rank)
{
    if (flow->ranks[rank].queued)
        return;
    flow->ranks[rank].queued = true;
    flow->ready[flow->n_ready++] = rank;
}

/* `from` has made a message for `to`: its cell holds minus the time. */
void weir_flow_made(struct weir_flow *flow, int from, int to);

/* Take the slots into which the rank's results of `a` go, and of the second part of an OVERLAP_F_B.  *time becomes when the last of
 * them is free.  false: one is not yet, and nothing was taken. */
bool weir_flow_slots_take(struct weir_flow *flow, int rank, const struct weir_action *a, double *time);

/* No rank goes on: give one that waits for slots those that may grow.  false: there is none. */
bool weir_flow_slots_add(struct weir_flow *flow);

/* One more slot of direction `d`, which is taken at once.  WEIR_ERR_NOMEM. */
weir_status weir_flow_slot_add(struct weir_flow *flow, struct weir_flow_unit *unit, enum weir_direction d);

/* `unit` has released a slot. */
void weir_flow_released(struct weir_flow *flow, int unit, enum weir_direction direction, double time);

/* shared: do the transfers that the channel of `rank` can do. */
void weir_flow_channel_run(struct weir_flow *flow, int rank);

/* blocking: do the SEND or RECV that `rank` has come to.  false when the other rank is not there yet. */
bool weir_flow_meet(struct weir_flow *flow, int rank);

/* The other end of a SEND or RECV: its rank, and the action it is there. */
int weir_flow_partner(const struct weir_flow *flow, const struct weir_action *action, struct weir_action *partner_out);

/* The message of a flow that stands still: who waits for whom. */
weir_status weir_flow_cycle(const struct weir_flow *flow);

#endif
