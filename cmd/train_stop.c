/* weir train: what ends a run before its last step, and what is kept of it.
 *
 *     a signal              the run ends after the step it is in; the export, metrics and trace are as after a last step
 *     an output fails       the same; other processes learn it with the next step's report
 *     loss not finite       the parameters are those before the step: they are exported
 *     data cannot be read   the same, in a single process: several cannot agree on it
 *     the engine fails      there is nothing left to export */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cmd/train.h"
#include "engine/checkpoint/export_like.h"

enum { OUTPUT_FAILED = 1000 }; /* as a stop flag: beyond all signals */

static volatile sig_atomic_t stop_wanted; /* handlers have no other way to say what they saw */

/* A second signal ends the process.  A terminal that goes away says so twice: by its shell and by itself. */
static void signal_note(int number)
{
    stop_wanted = number;
    signal(number, number == SIGHUP ? SIG_IGN : SIG_DFL);
}

void train_stop_watch(struct train_run *run)
{
    stop_wanted = 0;
    weir_engine_stop_flag(run->engine, &stop_wanted);
    signal(SIGINT, signal_note);
    signal(SIGTERM, signal_note);
    signal(SIGUSR1, signal_note); /* what schedulers send before the time is up */
    signal(SIGXCPU, signal_note);
    if (signal(SIGHUP, signal_note) == SIG_IGN) /* nohup */
        signal(SIGHUP, SIG_IGN);
}

static bool is_alone(const struct train_run *run)
{
    int n_processes;
    weir_engine_process(run->engine, &n_processes);
    return n_processes == 1;
}

int train_stop_seen(const struct train_run *run)
{
    return is_alone(run) ? stop_wanted : weir_engine_stop_seen(run->engine);
}

int train_stop_signal(int stop)
{
    return stop == OUTPUT_FAILED ? 0 : stop;
}

void train_failure_keep(struct train_failure *failure, weir_status status)
{
    if (failure->status || !status)
        return;
    failure->status = status;
    weir_error_take(failure->message);
}

int train_failure_report(const struct train_run *run, const struct train_failure *failure)
{
    weir_error_put(failure->message);
    return options_report(train_command(run->options), failure->status);
}

void train_output_failed(struct train_run *run, weir_status status)
{
    train_failure_keep(&run->output, status);
    if (status && !stop_wanted)
        stop_wanted = OUTPUT_FAILED;
}

/* Whether the engine still has what the steps so far have made of the parameters, in all processes. */
static bool has_learnt(const struct train_run *run, weir_status status)
{
    bool whole = !status || status == WEIR_ERR_NUMERIC || (!run->engine_failed && is_alone(run));
    return (run->n_done > 0 && whole) || (!run->options->steps && !status);
}

/* The folder that the weights came from has the last word. */
static weir_status export_complete(const struct train_run *run)
{
    const struct train_options *o = run->options;
    bool of_file = strchr(run->model->name, '/') || strchr(run->model->name, '.'); /* built-in names have neither */
    weir_status status = of_file ? weir_export_like(run->model->name, o->export) : WEIR_OK;
    return status || !o->init_from ? status : weir_export_like(o->init_from, o->export);
}

weir_status train_export(struct train_run *run, weir_status status)
{
    const struct train_options *o = run->options;
    char message[WEIR_ERROR_MAX];
    if (!o->export || !has_learnt(run, status))
        return WEIR_OK;
    weir_error_take(message); /* of `status` */
    weir_status saved = weir_engine_save_weights(run->engine, o->export);
    if (!saved && run->leads)
        saved = export_complete(run);
    train_failure_keep(&run->export, saved);
    if (!saved && run->leads && run->n_done && (status || run->n_done < o->steps) && !o->quiet)
        fprintf(stderr, "weir train: the export has the parameters after %lld steps\n", (long long)run->n_done);
    if (saved)
        weir_engine_fail(run->engine, saved);
    weir_error_put(message);
    return saved;
}
