/* weir train, the steps: feed, step, report. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cmd/train.h"

/* A first signal ends the run after the step; a second one ends the process (the default action is restored). */
static volatile sig_atomic_t signal_seen;

static void signal_note(int number)
{
    signal_seen = number;
    signal(number, SIG_DFL);
}

static weir_status step_feed(struct train_run *run, int64_t step)
{
    const char *input = run->model->data == WEIR_DATA_IMAGES ? "images" : "tokens";
    int batch = (int)run->graph->microbatch_size;
    for (int mb = 0; mb < run->n_microbatches; mb++) {
        int64_t first = (step * run->n_microbatches + mb) * batch;
        if (!weir_engine_reads(run->engine, input, mb) && !weir_engine_reads(run->engine, "targets", mb))
            continue; /* another process's */
        weir_status status = weir_data_read(run->data, first, batch, run->inputs, run->targets);
        if (!status)
            status = weir_engine_feed(run->engine, input, mb, run->inputs);
        if (!status)
            status = weir_engine_feed(run->engine, "targets", mb, run->targets);
        if (status)
            return status;
    }
    return WEIR_OK;
}

static weir_status metrics_write(struct train_run *run, const struct weir_step_report *report, double lr,
                                 double per_second)
{
    for (int r = 0; r < report->n_ranks; r++)
        run->peaks[r] = (int64_t)report->peak_bytes[r];
    struct weir_metrics_step line = {.step = report->step,
                                     .loss = report->loss,
                                     .grad_norm = report->grad_norm,
                                     .lr = lr,
                                     .tokens_per_s = per_second,
                                     .step_ms = (double)report->step_ns / 1e6,
                                     .bubble = report->bubble,
                                     .peak_bytes = run->peaks};
    return weir_metrics_write(run->metrics, &line);
}

/* ---- trace --------------------------------------------------------------------------------------------------------- */

enum { SHORTEST_WAIT_NS = 1000 }; /* shorter gaps are the executor's own hand-over */

static enum weir_trace_category category_of(const struct weir_step_event *event)
{
    switch (event->category[0]) {
    case 'F':
        return WEIR_TRACE_FORWARD;
    case 'W':
        return WEIR_TRACE_WEIGHT;
    case 'I':
    case 'B':
        return WEIR_TRACE_BACKWARD;
    default:
        return WEIR_TRACE_OPTIMIZER;
    }
}

/* A compute stream that is not at work waits for what comes next. */
static weir_status trace_step(struct train_run *run, int64_t step)
{
    weir_status status = weir_engine_events_gather(run->engine);
    if (status || !run->trace)
        return status;
    weir_engine_events(run->engine, run->events, run->n_events);
    for (size_t i = 0; i < run->n_events; i++) {
        const struct weir_step_event *e = &run->events[i], *before = i ? e - 1 : NULL;
        struct weir_trace_event row = {.name = e->name, .rank = e->rank, .category = category_of(e), .stage = e->stage,
                                       .mb = e->mb, .step = step, .start_ns = e->start_ns, .end_ns = e->end_ns};
        bool waited = before && before->rank == e->rank && e->start_ns - before->end_ns > SHORTEST_WAIT_NS;
        if (waited) {
            struct weir_trace_event wait = row;
            wait.name = "wait";
            wait.category = WEIR_TRACE_WAIT;
            wait.start_ns = before->end_ns;
            wait.end_ns = e->start_ns;
            weir_trace_add(run->trace, &wait, 1);
        }
        weir_trace_add(run->trace, &row, 1);
    }
    return WEIR_OK;
}

/* ---- steps --------------------------------------------------------------------------------------------------------- */

static weir_status step_report(struct train_run *run, struct progress *progress, const struct weir_step_report *report,
                               double lr)
{
    double targets = (double)run->graph->n_targets * run->n_microbatches;
    double per_second = report->step_ns > 0 ? targets / ((double)report->step_ns / 1e9) : 0;
    if (report->step == 0)
        run->first_loss = report->loss;
    run->last_loss = report->loss;
    run->n_done = report->step + 1;
    progress_step(progress, report, lr, per_second);
    weir_status status = report->step < run->n_trace_steps ? trace_step(run, report->step) : WEIR_OK;
    if (status)
        return status;
    return run->metrics ? metrics_write(run, report, lr, per_second) : WEIR_OK;
}

static double lr_at(const struct train_run *run, int64_t step)
{
    const struct train_options *o = run->options;
    double lr = o->lr >= 0 ? o->lr : run->optimizer == WEIR_OPTIMIZER_ADAMW ? 1e-3 : 0.1;
    int64_t warmup = o->warmup >= 0 ? o->warmup : run->lr_schedule == WEIR_LR_COSINE ? o->steps / 10 : 0;
    return weir_learning_rate(run->lr_schedule, lr, warmup, step, o->steps);
}

static weir_status trace_end(struct train_run *run, weir_status status)
{
    char message[WEIR_ERROR_MAX];
    weir_error_take(message);
    weir_status written = weir_trace_write(run->trace); /* also after a failure: it shows what led there */
    if (status)
        weir_error_put(message);
    return status ? status : written;
}

weir_status train_steps(struct train_run *run, int *signal_out)
{
    struct progress progress;
    weir_status status = WEIR_OK;
    int stop = 0;
    signal_seen = 0;
    weir_engine_stop_flag(run->engine, &signal_seen);
    signal(SIGINT, signal_note);
    signal(SIGTERM, signal_note);
    progress_start(&progress, run->options->steps, run->model->data == WEIR_DATA_IMAGES ? "img" : "tok",
                   run->options->quiet || !run->leads);
    for (int64_t step = 0; step < run->options->steps && !stop && !status; step++) {
        struct weir_step_report report;
        double lr = lr_at(run, step);
        status = step_feed(run, step);
        if (!status)
            status = weir_engine_step(run->engine, lr, &report);
        if (!status) {
            status = step_report(run, &progress, &report, lr);
            stop = report.stop;
        }
    }
    progress_end(&progress);
    if (run->trace)
        status = trace_end(run, status);
    if (status && status != WEIR_ERR_NUMERIC) /* which every process sees */
        weir_engine_fail(run->engine, status);
    if (stop && !run->options->quiet && run->leads)
        fprintf(stderr, "weir train: stopped by signal %d after %lld steps\n", stop, (long long)run->n_done);
    *signal_out = stop;
    return status;
}
