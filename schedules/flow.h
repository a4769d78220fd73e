/* Flow: run the lists of a schedule through a channel model.
 *
 * The order of work is fixed, so every start time is the largest of a few end times: there is no clock to advance and
 * no event queue.  A rank runs until it needs something that is not there yet; whoever makes that wakes it.  Each action
 * is looked at once.  When nothing can go on and something is left, the schedule waits in a circle, and the flow says
 * which.
 *
 *     rank a   compute ──F(s,k)──▶ cell[s+1,k] made ──edge a → b──▶ cell[s+1,k] arrived ──▶ rank b starts F(s+1,k)
 *                                                       ▲
 *                                          slot of stage s+1 released by an earlier W or B
 *
 * A cell is one double per (stage, micro-batch, direction): infinity before anything is made, minus the time when it has
 * been made on another rank and waits for its transfer, the time of arrival afterwards. */
#ifndef WEIR_SCHEDULES_FLOW_H
#define WEIR_SCHEDULES_FLOW_H

#include "schedules/edges.h"

struct weir_flow_costs {
    const double *type;     /* [n_stages][4]: F, I, W, B */
    const double *transfer; /* [n_edges] */
    double overlap_gain;    /* an OVERLAP_F_B lasts this times F + B */
    double reduce;          /* one REDUCE_GRAD action */
};

/* What decided when an action or a transfer started. */
enum weir_flow_cause {
    WEIR_CAUSE_NONE,     /* nothing: it started at 0 */
    WEIR_CAUSE_RANK,     /* the action before it on its rank */
    WEIR_CAUSE_FORWARD,  /* the arrival of its input */
    WEIR_CAUSE_BACKWARD, /* the arrival of its gradient */
    WEIR_CAUSE_PRODUCER, /* transfers: the action that made the message */
    WEIR_CAUSE_CHANNEL,  /* transfers: the transfer before it */
    WEIR_CAUSE_SLOT,     /* transfers: the release of a slot */
};

struct weir_flow_rank {
    size_t next;           /* action that comes next */
    double time;           /* end of the action before it */
    double first;          /* start of the first action, -1 before it */
    double busy;           /* sum of the durations of its compute actions */
    double exposed;        /* time spent waiting for transfers that are under way or held back */
    double reduced;        /* end of the last REDUCE_GRAD action */
    double reduce_work;    /* sum of their durations */
    const double *waiting; /* the cell it waits for, or NULL */
    bool queued;
};

struct weir_flow_unit {
    double *released[2]; /* [slots]: times of the last releases, a ring */
    size_t n_taken[2], n_released[2];
    int blocked[2];      /* edge whose next message waits for a slot, or -1 */
};

struct weir_flow_edge {
    size_t next;  /* message that comes next */
    double time;  /* end of the transfer before it */
};

/* Optional records, one entry per action of every rank (OVERLAP parts share theirs). */
struct weir_flow_record {
    double **start, **end;   /* [n_ranks][n_actions], or NULL */
    uint8_t **cause;         /* [n_ranks][n_actions], or NULL */
    uint8_t **transfer_cause; /* [n_edges][n_messages], or NULL */
};

struct weir_flow {
    const struct weir_scan *scan;
    const struct weir_edges *edges;
    struct weir_flow_costs costs;
    struct weir_flow_record record;
    struct weir_flow_rank *ranks;
    struct weir_flow_unit *units;
    struct weir_flow_edge *channels; /* [n_edges] */
    double *cells[2];                /* [n_stages][n_microbatches] per direction */
    int *ready;                      /* ranks to look at */
    int n_ready;
};

/* Prepare a flow over a scanned schedule and its edges.  All memory comes from `arena`.  WEIR_ERR_NOMEM. */
weir_status weir_flow_open(struct weir_flow *flow, const struct weir_scan *scan, const struct weir_edges *edges,
                           struct weir_arena *arena);

/* Run under the edge model until nothing can go on.  WEIR_ERR_INVALID: the cycle. */
weir_status weir_flow_run_edge(struct weir_flow *flow);

/* The message of a flow that stands still: who waits for whom. */
weir_status weir_flow_cycle(const struct weir_flow *flow);

#endif
