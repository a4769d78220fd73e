/* Metrics: one JSON object per line, for people and plotting tools: what the run is, then its steps.
 *
 *     {"run": {"model": "gpt2-tiny", "stages": 2, ...}}
 *     {"step": 12, "time_s": 0.61, "tokens": 24576, "loss": 3.25, "grad_norm": 0.91, "lr": 0.001, "tokens_per_s": 41250.5,
 *      "step_ms": 49.6, "bubble": 0.18, "data_wait_ms": 0.1, "flops": 7.6e9, "mfu": 0.31, "val_loss": 3.5,
 *      "peak_bytes": [3145728, 2097152]}     (on one line)
 *
 * val_loss stands only on the lines of steps that a validation followed; the first line is the caller's, if any.
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
 * One thread at a time.  weir_metrics_write() allocates nothing. */
#ifndef WEIR_ENGINE_REPORT_METRICS_H
#define WEIR_ENGINE_REPORT_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

typedef struct weir_metrics weir_metrics;

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
    const int64_t *peak_bytes; /* [n_ranks of weir_metrics_open] */
};

#ifdef __cplusplus
extern "C" {
#endif

/* WEIR_ERR_IO names the file and the reason: it cannot be written, or another writer has it.  WEIR_ERR_NOMEM. */
weir_status weir_metrics_open(const char *path, int n_ranks, weir_metrics **metrics_out);

/* Go on with the file of a run that goes on after `steps` steps: when the first line is written, all whole lines up to that step
 * stay, and nothing after them.  WEIR_ERR_IO. */
weir_status weir_metrics_continue(weir_metrics *metrics, int64_t steps);

/* What the run is, as a JSON object on one line: stands as {"run": ...} before the first step, unless the file
 * goes on.  The text is copied.
 * WEIR_ERR_NOMEM. */
weir_status weir_metrics_run(weir_metrics *metrics, const char *object);

/* Write one line.  WEIR_ERR_IO names the file and the reason. */
weir_status weir_metrics_write(weir_metrics *metrics, const struct weir_metrics_step *step);

void weir_metrics_close(weir_metrics *metrics); /* NULL is fine */

/* The object of the first line, what the run was, as JSON text in the arena; *object_out is NULL where the file is not there, is
 * empty or no regular one, or begins otherwise.  WEIR_ERR_IO.  WEIR_ERR_NOMEM. */
weir_status weir_metrics_run_read(const char *path, struct weir_arena *arena, const char **object_out);

/* false: the regular file `path` has something else than metrics in it.  One that cannot be read is for open to refuse. */
bool weir_metrics_is_file(const char *path);

/* The number as written above: at most 24 characters and a terminator, '.' as the point in every locale. */
void weir_metrics_number(double value, char text[32]);

#ifdef __cplusplus
}
#endif

#endif
