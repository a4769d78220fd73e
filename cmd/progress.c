#include "cmd/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static const int64_t second_ns = 1000000000;

enum { BAR = 20 };

void progress_start(struct progress *progress, int64_t first, int64_t n_steps, const char *unit, bool quiet)
{
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    bool dumb = !term || !strcmp(term, "dumb");
    *progress = (struct progress){.quiet = quiet, .first = first, .n_steps = n_steps, .unit = unit, .start_ns = weir_clock_ns(),
                                  .val_loss = NAN};
    progress->terminal = isatty(STDERR_FILENO) && !dumb;
    progress->colour = progress->terminal && !(no_colour && *no_colour);
}

static void rate_print(char text[32], double rate)
{
    if (rate >= 1e6)
        snprintf(text, 32, "%.2fM", rate / 1e6);
    else if (rate >= 1e3)
        snprintf(text, 32, "%.1fk", rate / 1e3);
    else
        snprintf(text, 32, "%.1f", rate);
}

static void line_print(const struct progress *progress, const struct weir_step_report *report, double lr,
                       double per_second, int64_t now)
{
    int64_t done = report->step + 1;
    double a_step = (double)(now - progress->start_ns) / (double)(done - progress->first) / 1e9;
    double left = a_step * (double)(progress->n_steps - done);
    char rate[32], bar[BAR + 1];
    rate_print(rate, per_second);
    int filled = (int)(BAR * done / progress->n_steps);
    memset(bar, '-', BAR);
    memset(bar, '#', (size_t)filled);
    bar[BAR] = 0;
    const char *bold = progress->colour ? "\033[1m" : "", *plain = progress->colour ? "\033[0m" : "";
    fprintf(stderr, "step %lld/%lld ", (long long)done, (long long)progress->n_steps);
    if (progress->terminal)
        fprintf(stderr, "[%s] ", bar);
    fprintf(stderr, "%sloss %.4f%s ", bold, report->loss, plain);
    if (!isnan(progress->val_loss))
        fprintf(stderr, "val %.4f ", progress->val_loss);
    if (!isnan(progress->val_loss) && progress->val_step < done)
        fprintf(stderr, "(step %lld) ", (long long)progress->val_step);
    fprintf(stderr, "norm %.3g lr %.3g %s %s/s bubble %.1f%% eta %02d:%02d", report->grad_norm, lr, rate, progress->unit,
            100 * report->bubble, (int)left / 60, (int)left % 60);
}

void progress_step(struct progress *progress, const struct weir_step_report *report, double lr, double per_second,
                   const double *val_loss)
{
    bool stays = progress->terminal && !val_loss; /* there is one line, on which the last one stands */
    progress->val_loss = val_loss ? *val_loss : stays ? progress->val_loss : NAN;
    progress->val_step = val_loss ? report->step + 1 : progress->val_step;
    if (progress->quiet)
        return;
    int64_t now = weir_clock_ns(), pause = progress->terminal ? second_ns / 10 : 5 * second_ns;
    bool edge = val_loss || report->step == progress->first || report->step + 1 == progress->n_steps;
    if (!edge && now - progress->shown_ns < pause)
        return;
    progress->shown_ns = now;
    if (progress->terminal)
        fprintf(stderr, "\r");
    line_print(progress, report, lr, per_second, now);
    fprintf(stderr, progress->terminal ? "\033[K" : "\n");
    progress->line_open = progress->terminal;
}

void progress_end(struct progress *progress)
{
    if (progress->line_open)
        fprintf(stderr, "\n");
    progress->line_open = false;
}
