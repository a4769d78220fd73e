/* weir launch, while the processes run.
 *
 * Signals come through a descriptor, so nothing happens behind the loop's back.  An ended process is left as a zombie until all
 * have ended: its number, and with rank 0's the number of the group, cannot be given to others meanwhile. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cmd/launch.h"

static const int64_t second_ns = INT64_C(1000000000);
static const int64_t broken_ns = INT64_C(4000000000); /* so long the others have when one has lost what they need */
static const int64_t others_ns = INT64_C(700000000);  /* by so much the others are first to tell that one is stopped */
static const int64_t ask_ns = INT64_C(1000000000);    /* when another host's process has died, and nobody has said so */
static const int64_t record_ns = INT64_C(700000000);  /* writing what every rank does takes less */
static const int64_t far_ns = INT64_C(2000000000);     /* another host answers in this time, or is gone */
static const int64_t silent_ns = INT64_C(300000000);  /* and a process that was found silent or stuck: it has had its time */
static const int64_t unsaid_ns = INT64_C(1300000000); /* and the others, where the launcher found that out first: they look later */

enum { SIGNALS, COMING, WORDS, FIRST_RANK }; /* polls */

struct watch {
    struct launch_run *run;
    int n_running;
    int64_t passed_ns, broken_since_ns; /* 0: not yet */
    bool is_timeout;                    /* broken so */
    bool is_unsaid;                     /* and no rank has said so */
    bool has_asked;                     /* for a flight record */
    int64_t killed_ns;                  /* since when they should have ended; 0: not yet */
    struct pollfd *polls;               /* signals, relays that come, mpirun's words, then socket and errors of every rank */
};

/* ---- what they write ------------------------------------------------------------------------------------------------- */

static uint64_t line_hash(const char *line, int bytes)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (int i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)line[i]) * UINT64_C(1099511628211);
    return hash;
}

/* Lines that several ranks write are shown once. */
static bool is_shown(struct launch_run *run, uint64_t hash)
{
    enum { KEPT = sizeof run->lines / sizeof run->lines[0] };
    int kept = run->n_lines < KEPT ? run->n_lines : KEPT;
    for (int i = 0; i < kept; i++)
        if (run->lines[i] == hash)
            return true;
    run->lines[run->n_lines++ % KEPT] = hash;
    return false;
}

static void line_show(struct launch_run *run, int r)
{
    struct launch_rank *rank = &run->ranks[r];
    bool again = is_shown(run, line_hash(rank->line, rank->line_bytes));
    if (rank->line_bytes && (r == 0 || !again))
        fprintf(stderr, "%.*s\n", rank->line_bytes, rank->line);
    rank->line_bytes = 0;
}

static void errors_take(struct launch_run *run, int r, const char *text, size_t bytes)
{
    struct launch_rank *rank = &run->ranks[r];
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] != '\n')
            rank->line[rank->line_bytes++] = text[i];
        if (text[i] == '\n' || rank->line_bytes == LAUNCH_LINE)
            line_show(run, r);
    }
}

static void errors_read(struct launch_run *run, int r)
{
    struct launch_rank *rank = &run->ranks[r];
    char text[LAUNCH_LINE];
    ssize_t bytes = read(rank->errors, text, sizeof text);
    if (bytes < 0 && errno == EINTR)
        return;
    errors_take(run, r, text, bytes > 0 ? (size_t)bytes : 0);
    if (bytes > 0)
        return;
    if (rank->line_bytes)
        line_show(run, r);
    close(rank->errors);
    rank->errors = -1;
}

/* ---- what they say --------------------------------------------------------------------------------------------------- */

static void record_take(struct launch_run *run, struct launch_rank *rank, const struct weir_launch_record *record)
{
    int order = ++run->order;
    if (record->kind == WEIR_LAUNCH_FAILED && !rank->failed_order) {
        rank->failed_order = order;
        rank->failed_status = (weir_status)record->status;
        rank->is_second_hand = record->is_second_hand;
        memcpy(rank->failed, record->message, sizeof rank->failed);
    } else if (record->kind == WEIR_LAUNCH_SAID && rank->n_said < LAUNCH_MOST_SAID) {
        rank->said_order = rank->n_said ? rank->said_order : order;
        rank->said_status[rank->n_said] = (weir_status)record->status;
        memcpy(rank->said[rank->n_said++], record->message, sizeof rank->said[0]);
    } else if (record->kind == WEIR_LAUNCH_DONE) {
        rank->is_done = true;
        rank->exit_code = record->exit_code;
    }
}

static void records_take(struct launch_run *run, int r)
{
    struct weir_launch_record record;
    while (weir_launch_hear(run->launch, r, &record))
        record_take(run, &run->ranks[r], &record);
}

/* ---- who has ended --------------------------------------------------------------------------------------------------- */

static void end_take(struct watch *watch, int r, int wait_status)
{
    struct launch_run *run = watch->run;
    struct launch_rank *rank = &run->ranks[r];
    if (rank->has_ended)
        return;
    rank->wait_status = wait_status;
    rank->has_ended = true;
    rank->ended_ns = weir_clock_ns();
    watch->n_running--;
    if (rank->line_bytes && run->far)
        line_show(run, r);
}

static void end_look(struct watch *watch, int r)
{
    struct launch_run *run = watch->run;
    siginfo_t info = {0};
    if (run->ranks[r].has_ended || waitid(P_PID, (id_t)run->ranks[r].pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || !info.si_pid)
        return;
    records_take(run, r);
    weir_launch_ended(run->launch, r);
    end_take(watch, r, info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status);
}

static void lost_take(struct watch *watch, int r, bool was_silent)
{
    struct launch_rank *rank = &watch->run->ranks[r];
    if (rank->has_ended)
        return;
    rank->is_lost = true;
    rank->was_silent = was_silent;
    end_take(watch, r, 0);
}

static void ends_take(struct watch *watch)
{
    const struct launch_run *run = watch->run;
    bool all_lost = run->far && (launch_far_is_over(run->far) || (watch->killed_ns && weir_clock_ns() - watch->killed_ns > far_ns));
    for (int r = 0; r < run->n_ranks; r++) {
        if (!run->far)
            end_look(watch, r);
        else if (all_lost && (launch_far_socket(run->far, r) < 0 || watch->killed_ns))
            lost_take(watch, r, false);
    }
}

/* ---- relays ---------------------------------------------------------------------------------------------------------- */

static void note_take(struct watch *watch, int r, struct launch_note *note)
{
    struct launch_run *run = watch->run;
    struct launch_rank *rank = &run->ranks[r];
    if (note->kind == LAUNCH_ERRORS && note->value > 0 && note->value <= LAUNCH_TEXT)
        errors_take(run, r, note->of.text, (size_t)note->value);
    else if (note->kind == LAUNCH_STOPPED || note->kind == LAUNCH_CONTINUED)
        rank->stopped_ns = note->kind == LAUNCH_STOPPED ? weir_clock_ns() : 0;
    else if (note->kind == LAUNCH_ENDED)
        end_take(watch, r, note->value);
    if (note->kind != LAUNCH_RECORD)
        return;
    note->of.record.message[WEIR_ERROR_MAX - 1] = 0;
    record_take(run, rank, &note->of.record);
}

static void notes_take(struct watch *watch, int r)
{
    struct launch_note note;
    enum launch_heard heard = LAUNCH_HEARD_NOTE;
    while (heard == LAUNCH_HEARD_NOTE) {
        heard = launch_far_hear(watch->run->far, r, &note);
        if (heard == LAUNCH_HEARD_NOTE)
            note_take(watch, r, &note);
        else if (heard != LAUNCH_HEARD_NOTHING)
            lost_take(watch, r, heard == LAUNCH_HEARD_SILENCE);
    }
}

/* ---- who is stopped -------------------------------------------------------------------------------------------------- */

static void stops_take(struct launch_run *run)
{
    for (int r = 0; r < run->n_ranks && !run->far; r++) { /* relays say it */
        struct launch_rank *rank = &run->ranks[r];
        siginfo_t info = {0};
        if (rank->has_ended || waitid(P_PID, (id_t)rank->pid, &info, WSTOPPED | WCONTINUED | WNOHANG) != 0 || !info.si_pid)
            continue;
        bool stopped = info.si_code == CLD_STOPPED;
        rank->stopped_ns = stopped ? weir_clock_ns() : 0;
    }
}

/* When the first one has been stopped for too long; INT64_MAX: none is, or all are, as the whole run was stopped. */
static int64_t stops_end(const struct launch_run *run)
{
    int64_t first = INT64_MAX;
    bool any_runs = false;
    for (int r = 0; r < run->n_ranks; r++) {
        const struct launch_rank *rank = &run->ranks[r];
        any_runs |= !rank->has_ended && !rank->stopped_ns;
        if (!rank->has_ended && rank->stopped_ns && rank->stopped_ns < first)
            first = rank->stopped_ns;
    }
    return any_runs && first < INT64_MAX && run->timeout > 0 ? first + (int64_t)(run->timeout * (double)second_ns) + others_ns : INT64_MAX;
}

static void stops_blame(struct launch_run *run)
{
    int64_t now = weir_clock_ns();
    if (stops_end(run) > now)
        return;
    for (int r = 0; r < run->n_ranks; r++)
        run->ranks[r].was_stopped = !run->ranks[r].has_ended && run->ranks[r].stopped_ns &&
                                    run->ranks[r].stopped_ns + (int64_t)(run->timeout * (double)second_ns) <= now;
}

/* ---- signals and deadlines -------------------------------------------------------------------------------------------- */

static void rank_signal(const struct launch_run *run, int r, int number)
{
    if (run->far)
        launch_far_signal(run->far, r, number);
    else
        kill(run->ranks[r].pid, number);
}

static void pass_on(struct watch *watch, int number)
{
    struct launch_run *run = watch->run;
    for (int r = 0; r < run->n_ranks; r++)
        if (!run->ranks[r].has_ended)
            rank_signal(run, r, number);
    if (number == SIGQUIT || watch->passed_ns) /* a look, no end */
        return;
    watch->passed_ns = weir_clock_ns();
    run->passed_signal = number;
}

static void signals_take(struct watch *watch)
{
    struct signalfd_siginfo info;
    while (read(watch->run->signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
            pass_on(watch, (int)info.ssi_signo);
}

static void kill_running(struct launch_run *run)
{
    for (int r = 0; r < run->n_ranks; r++)
        if (!run->ranks[r].has_ended) {
            run->ranks[r].killed = true;
            rank_signal(run, r, SIGKILL);
        }
}

static bool any_failed(const struct launch_run *run)
{
    for (int r = 0; r < run->n_ranks; r++)
        if (run->ranks[r].failed_order)
            return true;
    return false;
}

/* How long the others have to end by themselves, or until they are asked for a flight record. */
static int64_t patience_of(const struct watch *watch)
{
    if (watch->is_unsaid)
        return unsaid_ns + watch->has_asked * silent_ns;
    if (watch->is_timeout)
        return silent_ns;
    return watch->run->far ? ask_ns + watch->has_asked * record_ns : broken_ns;
}

/* When the processes that still run are killed; INT64_MAX: nobody waits for them in vain. */
static int64_t deadline_of(struct watch *watch)
{
    const struct launch_run *run = watch->run;
    for (int r = 0; r < run->n_ranks && !watch->broken_since_ns; r++)
        if (launch_is_broken(&run->ranks[r])) {
            watch->broken_since_ns = weir_clock_ns();
            watch->is_timeout = run->ranks[r].failed_status == WEIR_ERR_TIMEOUT || run->ranks[r].was_silent;
            watch->is_unsaid = run->ranks[r].was_silent && !any_failed(run);
        }
    int64_t end = INT64_MAX;
    if (watch->killed_ns)
        return watch->killed_ns + far_ns + 1;
    if (watch->broken_since_ns)
        end = watch->broken_since_ns + patience_of(watch);
    if (watch->passed_ns && watch->passed_ns + (int64_t)(run->grace * (double)second_ns) < end)
        end = watch->passed_ns + (int64_t)(run->grace * (double)second_ns);
    return stops_end(run) < end ? stops_end(run) : end;
}

static bool is_ignored(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

weir_status launch_signals_open(struct launch_run *run)
{
    static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU, SIGQUIT};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i] != SIGHUP || !is_ignored(SIGHUP)) { /* nohup; what shells ignore for jobs in the background counts */
            signal(numbers[i], SIG_DFL);
            sigaddset(&set, numbers[i]);
        }
    sigprocmask(SIG_BLOCK, &set, NULL);
    run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return run->signals < 0 ? WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "cannot watch signals: %s", strerror(errno)) : WEIR_OK;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------------- */

static void polls_fill(const struct watch *watch)
{
    const struct launch_run *run = watch->run;
    const struct launch_far *far = run->far;
    watch->polls[SIGNALS] = (struct pollfd){.fd = watch->run->signals, .events = POLLIN};
    watch->polls[COMING] = (struct pollfd){.fd = far ? launch_far_listener(far) : -1, .events = POLLIN};
    watch->polls[WORDS] = (struct pollfd){.fd = far ? launch_far_words(far) : -1, .events = POLLIN};
    for (int r = 0; r < run->n_ranks; r++) {
        int socket = far ? launch_far_socket(far, r) : run->ranks[r].has_ended ? -1 : weir_launch_socket(run->launch, r);
        watch->polls[FIRST_RANK + 2 * r] = (struct pollfd){.fd = socket, .events = POLLIN};
        watch->polls[FIRST_RANK + 1 + 2 * r] = (struct pollfd){.fd = run->ranks[r].errors, .events = POLLIN};
    }
}

static int wait_ms(struct watch *watch)
{
    int64_t end = deadline_of(watch), left = end - weir_clock_ns();
    return end == INT64_MAX ? -1 : left <= 0 ? 0 : (int)(left / 1000000) + 1;
}

static void polls_take(struct watch *watch)
{
    struct launch_run *run = watch->run;
    signals_take(watch);
    if (watch->polls[COMING].revents)
        launch_far_accept(run);
    if (watch->polls[WORDS].revents)
        launch_far_words_take(run->far);
    for (int r = 0; r < run->n_ranks; r++) {
        if (watch->polls[FIRST_RANK + 2 * r].revents && run->far)
            notes_take(watch, r);
        else if (watch->polls[FIRST_RANK + 2 * r].revents)
            records_take(run, r);
        if (watch->polls[FIRST_RANK + 1 + 2 * r].revents)
            errors_read(run, r);
    }
}

/* Processes on other hosts than a dead or silent one's may not know of it yet.  Before they are killed, one of each host writes down what its
 * ranks do. */
static bool record_ask(struct watch *watch)
{
    bool asks = watch->run->far && watch->broken_since_ns && (!watch->is_timeout || watch->is_unsaid) && !watch->has_asked;
    watch->has_asked |= asks;
    for (int r = 0; r < watch->run->n_ranks && asks; r++)
        if (!watch->run->ranks[r].has_ended)
            rank_signal(watch->run, r, SIGQUIT);
    return asks;
}

static void round_take(struct watch *watch)
{
    struct launch_run *run = watch->run;
    polls_fill(watch);
    if (poll(watch->polls, (nfds_t)(FIRST_RANK + 2 * run->n_ranks), wait_ms(watch)) < 0)
        return;
    polls_take(watch);
    ends_take(watch);
    stops_take(run);
    if (deadline_of(watch) > weir_clock_ns())
        return;
    stops_blame(run);
    if (record_ask(watch))
        return;
    kill_running(run);
    if (run->far && !watch->killed_ns) /* those here end at once */
        watch->killed_ns = weir_clock_ns();
}

/* What they have written is read to its end; who holds a pipe open beyond its process's end is of the group, and gone. */
static void rest_take(struct launch_run *run)
{
    kill(-run->ranks[0].pid, SIGKILL);
    for (int r = 0; r < run->n_ranks; r++) {
        struct pollfd more = {.fd = run->ranks[r].errors, .events = POLLIN};
        while (run->ranks[r].errors >= 0 && poll(&more, 1, 100) == 1)
            errors_read(run, r);
        if (run->ranks[r].errors >= 0)
            close(run->ranks[r].errors);
        waitpid(run->ranks[r].pid, NULL, 0);
    }
}

/* mpirun speaks where it could not start them all. */
static void far_rest_take(struct launch_run *run)
{
    bool came = true;
    for (int r = 0; r < run->n_ranks; r++)
        came &= run->ranks[r].pid > 0;
    launch_far_end(run, !came);
}

weir_status launch_watch(struct launch_run *run)
{
    struct watch watch = {.run = run, .n_running = run->n_ranks};
    weir_status status = weir_alloc((size_t)(FIRST_RANK + 2 * run->n_ranks), sizeof *watch.polls, &watch.polls);
    if (status)
        kill_running(run);
    ends_take(&watch); /* whoever ended before signals were watched */
    while (watch.n_running > 0 && !status)
        round_take(&watch);
    if (run->far)
        far_rest_take(run);
    else
        rest_take(run);
    weir_free(watch.polls);
    return status;
}
