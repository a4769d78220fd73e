/* weir train: what ends a run before its last step, and what is kept of it.
 *
 *     a signal, --stop-after  the run ends after the step it is in; checkpoint, export, metrics and trace are as after a last
 *                           step
 *     an output fails       the same; other processes learn it with the next step's report
 *     loss not finite       the parameters are those before the step: they are exported
 *     data cannot be read   the same, in a single process: several cannot agree on it
 *     the engine fails      there is nothing left to export */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/synonyms.h"
#include "cmd/train.h"

enum { OUTPUT_FAILED = 1000, TIME_IS_UP }; /* as a stop flag: beyond all signals */

static volatile sig_atomic_t stop_wanted; /* handlers have no other way to say what they saw */
static volatile sig_atomic_t grace_seconds; /* 0: no limit */

static void timer_set(double seconds)
{
    struct itimerval time = {.it_value = {(time_t)seconds, (suseconds_t)(1e6 * (seconds - floor(seconds)))}};
    setitimer(ITIMER_REAL, &time, NULL);
}

/* A second signal ends the process.  A terminal that goes away says so twice: by its shell and by itself. */
static void signal_note(int number)
{
    stop_wanted = number;
    if (number == SIGTERM)
        train_flight_soon();
    signal(number, number == SIGHUP ? SIG_IGN : SIG_DFL);
    if (grace_seconds)
        alarm((unsigned)grace_seconds);
}

/* The first time it is --stop-after, else the end of --grace. */
static void alarm_note(int number)
{
    static const char words[] = "weir train: step and checkpoint took longer than --grace: the state since the last checkpoint is lost\n";
    (void)number;
    if (!stop_wanted) {
        stop_wanted = TIME_IS_UP;
        alarm((unsigned)grace_seconds);
        return;
    }
    if (write(STDERR_FILENO, words, sizeof words - 1) < 0)
        _exit(1);
    _exit(stop_wanted < OUTPUT_FAILED ? 128 + stop_wanted : weir_status_exit_code(WEIR_ERR_TIMEOUT));
}

static void alarm_watch(const struct train_run *run)
{
    const struct train_options *o = run->options;
    double gone = (double)(weir_clock_ns() - run->command_ns) / 1e9;
    grace_seconds = o->checkpoint_dir || o->stop_after > 0 ? (int)ceil(fmin(o->grace, 1e6)) : 0;
    if (!grace_seconds)
        return;
    signal(SIGALRM, alarm_note);
    if (o->stop_after > 0)
        timer_set(fmax(o->stop_after - gone, 1e-3));
}

bool train_stop_is_terminated(void)
{
    return stop_wanted == SIGTERM;
}

void train_grace_end(void)
{
    grace_seconds = 0;
    alarm(0);
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
    alarm_watch(run);
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
    return stop >= OUTPUT_FAILED ? 0 : stop;
}

bool train_stop_is_time(int stop)
{
    return stop == TIME_IS_UP;
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

bool train_has_state(const struct train_run *run, weir_status status)
{
    return !status || status == WEIR_ERR_NUMERIC || (!run->engine_failed && is_alone(run));
}

static bool has_learnt(const struct train_run *run, weir_status status)
{
    return (run->n_done > 0 && train_has_state(run, status)) || (!run->options->steps && !status);
}

static const char *const export_dtypes[] = {"source", "f32", "bf16", "f16", NULL};

weir_status train_export_read(const struct train_run *run, struct weir_export *export_out)
{
    const struct train_options *o = run->options;
    bool of_file = strchr(run->model->name, '/') || strchr(run->model->name, '.'); /* built-in names have neither */
    struct weir_export export = {.dir = o->export, .shard_bytes = (uint64_t)o->export_shard_size};
    export.like[0] = of_file ? run->model->name : NULL;
    export.like[1] = o->init_from;
    export.tokenizer = o->tokenizer && !strcmp(o->tokenizer, "bytes") ? "" : o->tokenizer; /* what generate is to read it with */
    weir_status status = weir_export_dtype_find(name_understood(o->export_dtype, export_dtypes, dtype_synonyms), &export.dtype);
    if (!status)
        *export_out = export;
    return status;
}

weir_status train_export(struct train_run *run, weir_status status)
{
    const struct train_options *o = run->options;
    char message[WEIR_ERROR_MAX];
    if (!o->export || !has_learnt(run, status))
        return WEIR_OK;
    weir_error_take(message); /* of `status` */
    struct weir_export export;
    weir_status saved = train_export_read(run, &export);
    if (!saved)
        saved = weir_engine_export(run->engine, &export);
    train_failure_keep(&run->export, saved);
    if (!saved && run->leads && run->n_done && (status || run->n_done < o->steps) && !o->quiet)
        fprintf(stderr, "weir train: the export has the parameters after %lld step%s\n", (long long)run->n_done, plural(run->n_done));
    if (saved)
        weir_engine_fail(run->engine, saved);
    weir_error_put(message);
    return saved;
}
