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
static const int64_t silent_ns = INT64_C(300000000);  /* and a process that was found silent or stuck: it has had its time */

struct watch {
    struct launch_run *run;
    int n_running;
    int64_t passed_ns, broken_since_ns; /* 0: not yet */
    bool is_timeout;                    /* broken so */
    struct pollfd *polls;               /* signals, then socket and errors of every rank */
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

static void errors_read(struct launch_run *run, int r)
{
    struct launch_rank *rank = &run->ranks[r];
    char text[LAUNCH_LINE];
    ssize_t bytes = read(rank->errors, text, sizeof text);
    if (bytes < 0 && errno == EINTR)
        return;
    for (ssize_t i = 0; i < bytes; i++) {
        if (text[i] != '\n')
            rank->line[rank->line_bytes++] = text[i];
        if (text[i] == '\n' || rank->line_bytes == LAUNCH_LINE)
            line_show(run, r);
    }
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

static void ends_take(struct watch *watch)
{
    struct launch_run *run = watch->run;
    for (int r = 0; r < run->n_ranks; r++) {
        struct launch_rank *rank = &run->ranks[r];
        siginfo_t info = {0};
        if (rank->has_ended || waitid(P_PID, (id_t)rank->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || !info.si_pid)
            continue;
        bool exited = info.si_code == CLD_EXITED;
        rank->wait_status = exited ? info.si_status << 8 : info.si_status;
        rank->has_ended = true;
        rank->ended_ns = weir_clock_ns();
        records_take(run, r);
        weir_launch_ended(run->launch, r);
        watch->n_running--;
    }
}

/* ---- signals and deadlines -------------------------------------------------------------------------------------------- */

static void pass_on(struct watch *watch, int number)
{
    struct launch_run *run = watch->run;
    for (int r = 0; r < run->n_ranks; r++)
        if (!run->ranks[r].has_ended)
            kill(run->ranks[r].pid, number);
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
            kill(run->ranks[r].pid, SIGKILL);
        }
}

/* When the processes that still run are killed; INT64_MAX: nobody waits for them in vain. */
static int64_t deadline_of(struct watch *watch)
{
    const struct launch_run *run = watch->run;
    for (int r = 0; r < run->n_ranks && !watch->broken_since_ns; r++)
        if (launch_is_broken(&run->ranks[r])) {
            watch->broken_since_ns = weir_clock_ns();
            watch->is_timeout = run->ranks[r].failed_status == WEIR_ERR_TIMEOUT;
        }
    int64_t end = INT64_MAX;
    if (watch->broken_since_ns)
        end = watch->broken_since_ns + (watch->is_timeout ? silent_ns : broken_ns);
    if (watch->passed_ns && watch->passed_ns + (int64_t)(run->grace * (double)second_ns) < end)
        end = watch->passed_ns + (int64_t)(run->grace * (double)second_ns);
    return end;
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
    watch->polls[0] = (struct pollfd){.fd = watch->run->signals, .events = POLLIN};
    for (int r = 0; r < run->n_ranks; r++) {
        int socket = run->ranks[r].has_ended ? -1 : weir_launch_socket(run->launch, r);
        watch->polls[1 + 2 * r] = (struct pollfd){.fd = socket, .events = POLLIN};
        watch->polls[2 + 2 * r] = (struct pollfd){.fd = run->ranks[r].errors, .events = POLLIN};
    }
}

static int wait_ms(struct watch *watch)
{
    int64_t end = deadline_of(watch), left = end - weir_clock_ns();
    return end == INT64_MAX ? -1 : left <= 0 ? 0 : (int)(left / 1000000) + 1;
}

static void round_take(struct watch *watch)
{
    struct launch_run *run = watch->run;
    polls_fill(watch);
    if (poll(watch->polls, (nfds_t)(1 + 2 * run->n_ranks), wait_ms(watch)) < 0)
        return;
    signals_take(watch);
    for (int r = 0; r < run->n_ranks; r++) {
        if (watch->polls[1 + 2 * r].revents)
            records_take(run, r);
        if (watch->polls[2 + 2 * r].revents)
            errors_read(run, r);
    }
    ends_take(watch);
    if (deadline_of(watch) <= weir_clock_ns())
        kill_running(run);
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

weir_status launch_watch(struct launch_run *run)
{
    struct watch watch = {.run = run, .n_running = run->n_ranks};
    weir_status status = weir_alloc((size_t)(1 + 2 * run->n_ranks), sizeof *watch.polls, &watch.polls);
    if (status)
        kill_running(run);
    ends_take(&watch); /* whoever ended before signals were watched */
    while (watch.n_running > 0 && !status)
        round_take(&watch);
    rest_take(run);
    weir_free(watch.polls);
    return status;
}
