/* weir train and weir evaluate, from options to the exit status. */
#include "cmd/launched.h"
#include "cmd/train.h"

const char *train_command(const struct train_options *options)
{
    return options->evaluates ? "evaluate" : "train";
}

static bool is_lost(weir_status status)
{
    return status == WEIR_ERR_PEER || status == WEIR_ERR_TIMEOUT;
}

/* The leading process says so too: every process fails for the reasons of a usage error and its like, or none; and of a
 * failure between connected processes all hear, but not of the leading one's death. */
static bool is_said_elsewhere(weir_status status, bool connected)
{
    return status == WEIR_ERR_USAGE || status == WEIR_ERR_NOFIT || status == WEIR_ERR_NUMERIC || (connected && !is_lost(status));
}

/* Nobody can hear of the others yet.  Who tells stays a while, so that the others of its host see that somebody has, and they until
 * that has reached the launcher. */
static int unconnected_report(const struct train_options *o)
{
    int code = weir_status_exit_code(WEIR_ERR_TIMEOUT);
    bool tells = launched_is_first();
    if (tells)
        options_report(train_command(o), WEIR_ERR_TIMEOUT);
    launched_linger_told_first(tells);
    return code;
}

int train_failed(const struct train_options *o, weir_status status, bool leads, bool connected)
{
    if (status == WEIR_ERR_TIMEOUT && !connected && launched_several() && !launched_supervised())
        return unconnected_report(o);
    if (status && !leads && connected && is_lost(status)) {
        launched_linger_tells();
        if (train_stop_is_terminated()) /* another one has told */
            return weir_status_exit_code(status);
    } else if (status && !leads) {
        launched_linger();
    }
    return !leads && !launched_is_heard() && is_said_elsewhere(status, connected) ? weir_status_exit_code(status)
                                                          : options_report(train_command(o), status);
}

/* Of a lost process one tells, and the others leave it the time for that. */
static int failure_report(const struct train_run *run, weir_status status)
{
    bool told = status && run->is_told && !launched_is_heard();
    if (told)
        launched_linger_told();
    return told ? weir_status_exit_code(status) : train_failed(run->options, status, run->leads, run->connected);
}

/* Messages of all that failed; the exit status of what failed first. */
static int run_report(const struct train_run *run, weir_status status)
{
    int code = failure_report(run, status);
    int of_output = run->leads ? train_failure_report(run, &run->output) : 0;
    int of_export = run->leads ? train_failure_report(run, &run->export) : weir_status_exit_code(run->export.status);
    int of_checkpoint = run->leads ? train_failure_report(run, &run->checkpoint) : weir_status_exit_code(run->checkpoint.status);
    int of_files = of_output ? of_output : of_export ? of_export : of_checkpoint;
    if (!code && of_files && !run->leads) /* the leading process says so */
        launched_linger();
    return code ? code : of_files;
}

int train_do(const struct train_options *o, void (*show)(struct train_run *run))
{
    struct train_run run;
    int stopped = 0;
    weir_status status = train_open(o, &run);
    if (status)
        return failure_report(&run, status);
    if (run.engine && run.leads && !o->quiet) {
        fprintf(stderr, "weir %s: ", train_command(o));
        train_layout_print(&run, stderr);
        train_layout_warn(&run);
        train_plan_warn(&run);
        train_data_print(&run, stderr);
    }
    if (run.engine) {
        train_order_print(&run);
        train_dry_begin(&run);
        status = train_steps(&run, &stopped);
        if (!status && run.n_done && run.profile && run.leads)
            train_profile_print(&run, stderr);
        if (!status && run.n_done && run.costs && run.leads)
            train_output_failed(&run, train_costs_write(&run));
        train_checkpoint_end(&run, status);
        train_grace_end();
        weir_status exported = train_export(&run, status);
        bool shown = !status && !exported && run.leads && (run.n_done || (!o->steps && !run.validation_cut));
        if (shown)
            show(&run);
    }
    int code = run_report(&run, status);
    train_flight_print(&run);
    train_close(&run);
    return code ? code : stopped ? 128 + stopped : 0;
}
