/* Following a run: its figures in a file, step by step, and ranks that become slow.
 *
 *     int64_t *peaks = calloc(report.n_ranks, sizeof *peaks);
 *     weir_metrics_open("m.jsonl", report.n_ranks, &metrics);
 *     weir_metrics_run(metrics, "{\"model\": \"gpt2-tiny\"}");
 *     weir_stragglers_open(report.n_ranks, NULL, &stragglers);
 *     while (...) {
 *         weir_engine_step(engine, lr, &report);
 *         for (int r = 0; r < report.n_ranks; r++)
 *             peaks[r] = (int64_t)report.peak_bytes[r];
 *         struct weir_metrics_step line = {.step = report.step + 1, .loss = report.loss, .peak_bytes = peaks, ...};
 *         weir_metrics_write(metrics, &line);
 *         if (weir_stragglers_look(stragglers, report.compute_ns, report.step_ns, &found))
 *             fprintf(stderr, "rank %d is slow\n", found.rank);
 *     }
 *     weir_stragglers_close(stragglers);
 *     weir_metrics_close(metrics);
 *     free(peaks);
 *
 * The file has one JSON object per line, for people and plotting tools: what the run is, then its steps.
 *
 *     {"run": {"model": "gpt2-tiny", "stages": 2, ...}}
 *     {"step": 12, "time_s": 0.61, "tokens": 24576, "loss": 3.25, "grad_norm": 0.91, "lr": 0.001, "tokens_per_s": 41250.5,
 *      "step_ms": 49.6, "bubble": 0.18, "data_wait_ms": 0.1, "flops": 7.6e9, "mfu": 0.31, "val_loss": 3.5,
 *      "peak_bytes": [3145728, 2097152]}     (on one line)
 *
 * val_loss stands only on the lines of steps that a validation followed; the first line is the program's, if any.
 *
 * Numbers have the fewest digits that read back to the same double (so a float32 reads back to the same float32).  JSON
 * has no NaN and no infinity: they are written as null.
 *
 * The file is created when the writer is opened, so that an unwritable place is known before any work is done, but what
 * it held is kept until the first step is written; a file that was created for nothing is removed again.  A line is
 * written in one piece after its step.  When the disk is full the line is taken back: the file holds whole lines only.
 *
 * While a writer is open its file is locked: a second writer of the same file, of any process, is refused.
 *
 * Stragglers.  A rank is slow while the others are not.  Every rank is compared with itself: its compute time in a step, waits
 * excluded, over the median of its steps so far that were not slow.  A schedule gives ranks different work, so comparing them with
 * each other says nothing.  Where somebody has said how long each rank should take, it is compared with that too: a rank that is
 * slow from its first step on has no better past.  When the whole machine is busy, or what was said is another machine's, all are
 * slower: what counts is how much slower than the others.  A rank straggles when that is more than 1.5 in WEIR_STRAGGLER_STEPS
 * steps in a row, which together take 5 seconds or more: on a shared machine the scheduler takes a core away for as long as some
 * dozen short steps.
 *
 *     factor = (time / own median) / max(1, the same of the other ranks, in the middle)          and with the plan's time
 *                                                                                                 in place of the median
 *
 * One report for a rank, until it has been as fast as before for as many steps.  A rank alone is never over its plan: nobody waits
 * for it, and nobody says whether the machine is busy.
 *
 * Each object is used by one thread at a time.  Memory is made when it is opened: writing a line and a look allocate nothing. */
#ifndef WEIR_METRICS_H
#define WEIR_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common.h"

typedef struct weir_metrics weir_metrics;
typedef struct weir_stragglers weir_stragglers; /* of all ranks */

struct weir_metrics_step {
    int64_t step;
    double time_s;            /* since the run began, validations included; 0: not said */
    int64_t tokens;           /* targets of all steps so far; 0: not said */
    double loss;              /* mean over the targets of the step */
    double grad_norm;         /* global, before clipping */
    double lr;                /* learning rate of the step */
    double tokens_per_s;      /* targets of the step / step time */
    double step_ms;           /* first instruction to end of optimizer */
    double bubble;            /* 1 - busiest rank's compute time / step time */
    double data_wait_ms;      /* before the step, for its samples; 0: not said */
    double flops;             /* that the model needs for the step; 0: not said */
    double mfu;               /* flops / step time, of what the devices can do; 0: not said */
    const double *val_loss;   /* measured after the step; NULL: there was no validation */
    const int64_t *peak_bytes; /* [n_ranks of weir_metrics_open]; NULL: not said */
};

enum { WEIR_STRAGGLER_STEPS = 20 };

struct weir_straggler {
    int rank;
    double factor;  /* the mean of those steps */
    bool over_plan; /* it is slower than planned; else than it was */
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* WEIR_ERR_IO names the file and the reason: it cannot be written, or another writer has it.  WEIR_ERR_INVALID: n_ranks < 1.
 * WEIR_ERR_NOMEM. */
weir_status weir_metrics_open(const char *path, int n_ranks, weir_metrics **metrics_out);

/* Go on with the file of a run that goes on after `steps` steps: when the first line is written, all whole lines up to that step
 * stay, and nothing after them.  WEIR_ERR_INVALID: steps < 0.  WEIR_ERR_IO. */
weir_status weir_metrics_continue(weir_metrics *metrics, int64_t steps);

/* What the run is, as a JSON object on one line: stands as {"run": ...} before the first step, unless the file
 * goes on.  The text is copied.  WEIR_ERR_INVALID: it is anything else than one JSON object on one line.  WEIR_ERR_NOMEM. */
weir_status weir_metrics_run(weir_metrics *metrics, const char *object);

/* Write one line.  WEIR_ERR_IO names the file and the reason.  WEIR_ERR_INVALID: a field that this library does not know is set. */
weir_status weir_metrics_write_sized(weir_metrics *metrics, const struct weir_metrics_step *step, size_t step_bytes);
static inline weir_status weir_metrics_write(weir_metrics *metrics, const struct weir_metrics_step *step)
{
    return weir_metrics_write_sized(metrics, step, sizeof *step);
}

void weir_metrics_close(weir_metrics *metrics); /* NULL is fine */

/* The object of the first line, what the run was, as JSON text in the arena; *object_out is NULL where the file is not there, is
 * empty or no regular one, or begins otherwise.  WEIR_ERR_IO.  WEIR_ERR_NOMEM. */
weir_status weir_metrics_run_read(const char *path, struct weir_arena *arena, const char **object_out);

/* false: the regular file `path` has something else than metrics in it.  One that cannot be read is for open to refuse. */
bool weir_metrics_is_file(const char *path);

/* The number as written above: at most 24 characters and a terminator, '.' as the point in every locale. */
void weir_metrics_number(double value, char text[32]);

/* Follow `n_ranks` ranks, those of all replicas.  `planned_ns`, [n_ranks]: compute time of a step, by plan; NULL: not known.
 * WEIR_ERR_INVALID: n_ranks < 1.  WEIR_ERR_NOMEM. */
weir_status weir_stragglers_open(int n_ranks, const int64_t *planned_ns, weir_stragglers **stragglers_out);
void weir_stragglers_close(weir_stragglers *stragglers); /* NULL is fine */

/* Take the compute times [n_ranks] of a step that took `step_ns`.  true: the first of the ranks found now. */
bool weir_stragglers_look_sized(weir_stragglers *stragglers, const int64_t *compute_ns, int64_t step_ns,
                                struct weir_straggler *found_out, size_t found_bytes);
static inline bool weir_stragglers_look(weir_stragglers *stragglers, const int64_t *compute_ns, int64_t step_ns,
                                        struct weir_straggler *found_out)
{
    return weir_stragglers_look_sized(stragglers, compute_ns, step_ns, found_out, sizeof *found_out);
}

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
