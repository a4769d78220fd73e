/* Progress of a run on stderr: one line that is rewritten on a terminal, a plain line every few seconds elsewhere. */
#ifndef WEIR_CMD_PROGRESS_H
#define WEIR_CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "include/weir/weir.h"

struct progress {
    bool quiet, terminal, colour;
    int64_t first, n_steps; /* steps done before; of all */
    const char *unit; /* "tok" */
    int64_t start_ns, shown_ns;
    double val_loss; /* of the last validation; NaN: none to show */
    int64_t val_step; /* steps done then */
    bool line_open; /* a line without newline stands on the terminal */
};

void progress_start(struct progress *progress, int64_t first, int64_t n_steps, const char *unit, bool quiet);

/* val_loss: measured after this step, or NULL.  On a terminal it stays on the line until there is a newer one. */
void progress_step(struct progress *progress, const struct weir_step_report *report, double lr, double per_second,
                   const double *val_loss);

/* End the open line, so that other text starts on a line of its own. */
void progress_end(struct progress *progress);

#endif
