/* weir train, the steps: feed, step, report. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/printable.h"
#include "cmd/measured_costs.h"
#include "cmd/model_flops.h"
#include "cmd/train.h"

/* Feed a step, and have what comes next read from disk while it runs. */
static weir_status step_feed(struct train_run *run, int64_t step)
{
    int64_t samples = train_samples(run), first = run->sample, begin = weir_clock_ns();
    if (step == run->first_step) /* all at once instead of one after the other */
        weir_data_prefetch(run->train.data, first, samples);
    weir_status status = train_feed(run, run->train.data, first);
    run->data_wait_ns = weir_clock_ns() - begin;
    if (!status && step + 1 < run->options->steps)
        weir_data_prefetch(run->train.data, first + samples, samples);
    if (!status && train_validation_due(run, step))
        weir_data_prefetch(run->validation.data, 0, samples);
    return status;
}

static weir_status metrics_write(struct train_run *run, const struct weir_step_report *report, double lr,
                                 double per_second, const double *val_loss)
{
    for (int r = 0; r < report->n_ranks; r++)
        run->peaks[r] = (int64_t)report->peak_bytes[r];
    double flops = model_flops(run->graph) * run->n_microbatches, seconds = (double)report->step_ns / 1e9;
    struct weir_metrics_step line = {.step = report->step + 1, /* how many are done, as on the screen */
                                     .time_s = train_seconds(run),
                                     .tokens = train_targets(run) / train_samples(run) * (run->samples_before + run->sample),
                                     .loss = report->loss,
                                     .grad_norm = report->grad_norm,
                                     .lr = lr,
                                     .tokens_per_s = per_second,
                                     .step_ms = (double)report->step_ns / 1e6,
                                     .bubble = report->bubble,
                                     .peak_bytes = run->peaks,
                                     .data_wait_ms = (double)run->data_wait_ns / 1e6,
                                     .flops = flops,
                                     .mfu = run->options->peak_flops > 0 && seconds > 0 ? flops / seconds / run->options->peak_flops : 0,
                                     .val_loss = val_loss};
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

/* The wait before an event, or NULL; `at` goes over the waits of all ranks, in their order. */
static const struct weir_step_wait *wait_before(const struct train_run *run, size_t event, size_t *at)
{
    while (*at < run->n_waits && (run->waits[*at].event < 0 || (size_t)run->waits[*at].event < event))
        (*at)++;
    const struct weir_step_wait *wait = *at < run->n_waits ? &run->waits[*at] : NULL;
    return wait && (size_t)wait->event == event && wait->end_ns - wait->start_ns > SHORTEST_WAIT_NS ? wait : NULL;
}

/* A compute stream that is not at work waits for what comes next. */
static void trace_step(struct train_run *run, int64_t step)
{
    size_t at = 0;
    for (size_t i = 0; i < run->n_events; i++) {
        const struct weir_step_event *e = &run->events[i];
        const struct weir_step_wait *waited = wait_before(run, i, &at);
        struct weir_trace_event row = {.name = e->name, .rank = e->rank, .category = category_of(e), .stage = e->stage,
                                       .mb = e->mb, .step = step + 1, .start_ns = e->start_ns, .end_ns = e->end_ns};
        if (waited) {
            struct weir_trace_event wait = row;
            wait.category = WEIR_TRACE_WAIT;
            wait.start_ns = waited->start_ns;
            wait.end_ns = waited->end_ns;
            wait.cause = waited->cause;
            wait.peer = waited->peer;
            wait.awaited = waited->cause ? run->events[waited->peer_event].name : NULL;
            wait.way_ns = waited->end_ns - waited->made_ns;
            weir_trace_add(run->trace, &wait, 1);
        }
        weir_trace_add(run->trace, &row, 1);
    }
}

/* Every process takes part, whoever keeps them. */
static weir_status step_events(struct train_run *run, int64_t step)
{
    if (!run->profile && !run->costs && step - run->first_step >= run->n_trace_steps)
        return WEIR_OK;
    weir_status status = weir_engine_events_gather(run->engine);
    run->engine_failed = status;
    if (!status)
        weir_engine_events(run->engine, run->events, run->n_events);
    if (!status)
        run->n_waits = weir_engine_waits(run->engine, run->waits, run->waits_room);
    return status;
}

/* ---- steps --------------------------------------------------------------------------------------------------------- */

static weir_status step_report(struct train_run *run, struct progress *progress, const struct weir_step_report *report,
                               double lr, const double *val_loss)
{
    double targets = (double)train_targets(run);
    double per_second = report->step_ns > 0 ? targets / ((double)report->step_ns / 1e9) : 0;
    if (report->step == run->first_step)
        run->first_loss = report->loss;
    run->last_loss = report->loss;
    run->n_done = report->step + 1;
    run->n_skipped = run->n_done > run->skipped_step ? 0 : run->n_skipped;
    run->sample += train_samples(run);
    run->val_loss = val_loss ? *val_loss : run->val_loss;
    run->val_step = val_loss ? run->n_done : run->val_step;
    progress_step(progress, report, lr, per_second, val_loss);
    train_stragglers_look(run, report);
    weir_status status = step_events(run, report->step);
    if (status)
        return status;
    if (run->profile)
        train_profile_step(run, report);
    if (run->costs)
        measured_costs_add(run->costs, run->events, run->n_events);
    if (run->trace && report->step - run->first_step < run->n_trace_steps)
        trace_step(run, report->step);
    if (run->metrics && !run->output.status)
        train_output_failed(run, metrics_write(run, report, lr, per_second, val_loss));
    return WEIR_OK;
}

/* Validate when it is due, and report; a validation that fails takes nothing from the step's report. */
static weir_status step_end(struct train_run *run, struct progress *progress, const struct weir_step_report *report,
                            double lr)
{
    double val_loss;
    bool due = train_validation_due(run, report->step), whole = true;
    weir_status validated = due ? train_validate(run, &val_loss, &whole) : WEIR_OK;
    const double *loss = due && whole && !validated ? &val_loss : NULL;
    weir_status reported = step_report(run, progress, report, lr, loss);
    run->validation_cut = !whole;
    if (validated || reported)
        return validated ? validated : reported;
    return train_checkpoint_step(run, report, loss, report->stop || report->step + 1 == run->options->steps);
}

double train_seconds(const struct train_run *run)
{
    return run->seconds_before + (double)(weir_clock_ns() - run->begin_ns) / 1e9;
}

double train_lr(const struct train_run *run)
{
    double lr = run->options->lr;
    return lr >= 0 ? lr : run->optimizer == WEIR_OPTIMIZER_ADAMW ? 1e-3 : 0.1;
}

int64_t train_warmup(const struct train_run *run)
{
    const struct train_options *o = run->options;
    return o->warmup >= 0 ? o->warmup : run->lr_schedule == WEIR_LR_COSINE ? o->steps / 10 : 0;
}

static double lr_at(const struct train_run *run, int64_t step)
{
    const struct train_options *o = run->options;
    int64_t warmup = train_warmup(run);
    return o->min_lr < 0 ? weir_learning_rate(run->lr_schedule, train_lr(run), warmup, step, o->steps)
                         : weir_learning_rate_to(run->lr_schedule, train_lr(run), o->min_lr, warmup, step, o->steps);
}

/* Also after a failure: it shows what led there. */
static void trace_end(struct train_run *run)
{
    char message[WEIR_ERROR_MAX];
    weir_error_take(message);
    train_output_failed(run, weir_trace_write(run->trace));
    weir_error_put(message);
}

static weir_status step_run(struct train_run *run, struct progress *progress, int64_t step, int *stop_out)
{
    struct weir_step_report report = {0};
    double lr = lr_at(run, step);
    weir_status status = step_feed(run, step);
    if (status)
        return status;
    status = weir_engine_step(run->engine, lr, &report);
    run->engine_failed = status && status != WEIR_ERR_NUMERIC;
    if (!status)
        status = step_end(run, progress, &report, lr);
    if (status == WEIR_ERR_NUMERIC)
        *stop_out = report.stop;
    if (!status)
        *stop_out = report.stop ? report.stop : train_stop_seen(run);
    return status;
}

enum { SKIPS_OF_A_STEP = 10 }; /* beyond these it is not the samples' fault */

/* A step whose numbers are not finite, on all processes alike: its samples are passed over, the number of the step and the
 * optimizer's state are those before it, or the checkpoint's.  `status` where the run cannot go on. */
static weir_status step_skip(struct train_run *run, weir_status status)
{
    char shown[4 * WEIR_ERROR_MAX], message[WEIR_ERROR_MAX];
    bool back = run->on_nan == TRAIN_NAN_ROLLBACK;
    if (status != WEIR_ERR_NUMERIC || run->on_nan == TRAIN_NAN_STOP)
        return status;
    if (++run->n_skipped > SKIPS_OF_A_STEP)
        return weir_error_prefix(status, "%d times at this step: ", run->n_skipped);
    run->skipped_step = run->n_done + 1;
    run->sample += train_samples(run);
    if (run->leads)
        fprintf(stderr, "weir train: %s its samples: %s\n", back ? "goes back to the last checkpoint and passes over" : "passes over",
                weir_printable(options_error(message), shown, sizeof shown));
    return back ? train_checkpoint_rollback(run) : WEIR_OK;
}

weir_status train_steps(struct train_run *run, int *signal_out)
{
    struct progress progress;
    weir_status status = WEIR_OK;
    int stop = 0;
    train_stop_watch(run);
    run->begin_ns = weir_clock_ns();
    progress_start(&progress, run->first_step, run->options->steps, run->model->data == WEIR_DATA_IMAGES ? "img" : "tok",
                   run->options->quiet || !run->leads);
    while (run->n_done < run->options->steps && !stop && !status)
        status = step_skip(run, step_run(run, &progress, run->n_done, &stop));
    if (!run->options->steps && run->validation.data) {
        status = train_validate_alone(run);
        stop = train_stop_seen(run);
    }
    progress_end(&progress);
    if (run->trace)
        trace_end(run);
    if (status && status != WEIR_ERR_NUMERIC) /* which every process sees */
        weir_engine_fail(run->engine, status);
    *signal_out = train_stop_signal(stop);
    run->stopped = stop && run->n_done < run->options->steps;
    if (train_stop_is_time(stop) && !run->options->quiet && run->leads)
        fprintf(stderr, "weir train: stopped by --stop-after after %lld step%s\n", (long long)run->n_done, plural(run->n_done));
    if (*signal_out && !run->options->quiet && run->leads)
        fprintf(stderr, "weir %s: stopped by signal %d after %lld step%s%s\n", train_command(run->options), *signal_out,
                (long long)run->n_done, plural(run->n_done), run->validation_cut ? ", the validation was not finished" : "");
    return status;
}
