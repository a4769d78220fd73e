/* Many schedules in a table: what each costs, and why some are left out.
 *
 *     schedule   p  v   m   makespan  bubble  span  idle  peak M_B  messages  shared
 *
 * One row per case, measured and forgotten, so that a table of thousands holds numbers only.  What a search made may be kept. */
#ifndef WEIR_CMD_SCHEDULE_ROWS_H
#define WEIR_CMD_SCHEDULE_ROWS_H

#include "cmd/schedule_case.h"

struct schedule_row {
    const char *name;
    struct schedule_size size;       /* of what was made; chunks 0: stages do not divide over the ranks */
    int n_stages;
    double makespan, bubble, bubble_span, idle_mean;
    double peak;                     /* most that a rank holds in flight, in activations of all its stages (M_B) */
    double memory;                   /* most that a rank holds, in the unit of the costs */
    size_t n_messages;
    double shared;                   /* makespan under shared channels; 0: not asked for; < 0: waits in a circle */
    const char *reason;              /* why it is left out, in the table's arena; NULL: it is not */
    const struct schedule_case *kept; /* what was measured, in the table's arena; NULL: it is made again where it is needed */
};

struct schedule_rows {
    struct weir_arena arena;
    struct schedule_row *rows;
    size_t n, room;
    bool several_sizes, with_memory, with_shared; /* columns */
};

struct schedule_row_options {
    struct schedule_case_options cases;
    struct weir_simulation_options simulation;
    bool shared;        /* time it under shared channels too */
    bool keeps_auto;    /* the schedule auto takes its time: rows keep it */
    double memory_cap;  /* a row that holds more is left out; 0: none */
    double most_peak;   /* likewise, in M_B; 0: none */
};

/* Add the row of one case; a size that the schedule does not have makes a row with a reason.  The other failures end it. */
weir_status schedule_rows_add(struct schedule_rows *rows, const struct schedule_row_options *options, const char *what,
                              const struct schedule_size *size);

/* Add a row that is left out. */
weir_status schedule_rows_leave_out(struct schedule_rows *rows, const char *what, const struct schedule_size *size,
                                    const char *reason);

/* By ranks and micro-batches, then makespan, then peak; rows left out last. */
void schedule_rows_sort(struct schedule_rows *rows);

/* WEIR_ERR_INVALID, with the first reason, when every row is left out. */
weir_status schedule_rows_check(const struct schedule_rows *rows);

void schedule_rows_print(const struct schedule_rows *rows);     /* a table */
void schedule_rows_print_csv(const struct schedule_rows *rows); /* what is left out goes to standard error */
weir_status schedule_rows_print_json(const struct schedule_rows *rows);

void schedule_rows_release(struct schedule_rows *rows);

/* The part of all ranks' time in which they do not work: with uneven stages the busiest rank hides it. */
double schedule_idle_mean(const struct weir_simulation *simulation);

#endif
