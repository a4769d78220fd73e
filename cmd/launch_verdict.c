/* weir launch, what a run came to.
 *
 * One cause gives one message.  It is the first of these that there is:
 *
 *     a failure of a rank's own           the first one that was heard of; its exit status is the run's
 *     a process that died or left         4, whatever the others say of it
 *     a process that is stopped           5
 *     a host that is silent               5
 *     a host that does not answer         4    when it is asked to end
 *     a failure that nobody had first     a peer lost, a timeout: the first one that was heard of
 *     a signal that was passed on         128 + its number
 *
 * What else a rank of the cause had to say follows, and what others failed with by themselves, each once. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/launch.h"

/* Ended by a signal that nobody here sent. */
static bool has_died(const struct launch_run *run, const struct launch_rank *rank)
{
    if (!rank->has_ended || rank->killed)
        return false;
    return rank->is_lost || (WIFSIGNALED(rank->wait_status) && WTERMSIG(rank->wait_status) != run->passed_signal);
}

/* Ended without a word about how, though no signal did it. */
static bool has_left(const struct launch_rank *rank)
{
    return rank->has_ended && !rank->killed && !rank->is_lost && WIFEXITED(rank->wait_status) && !rank->is_done && !rank->n_said;
}

/* It waited for others, or lost one, before it could tell them. */
static bool is_lonely(const struct launch_rank *rank)
{
    bool lost = rank->n_said && (rank->said_status[0] == WEIR_ERR_PEER || rank->said_status[0] == WEIR_ERR_TIMEOUT);
    return lost && !rank->failed_order;
}

bool launch_is_broken(const struct launch_rank *rank)
{
    return rank->failed_order || is_lonely(rank) || (rank->has_ended && (rank->is_lost || WIFSIGNALED(rank->wait_status) || !rank->is_done));
}

/* What it says of others is no cause: they died, or failed first. */
static bool is_own(const struct launch_rank *rank)
{
    weir_status status = rank->failed_order ? rank->failed_status : rank->said_status[0];
    return (rank->failed_order || rank->n_said) && !rank->is_second_hand && status != WEIR_ERR_PEER && !is_lonely(rank);
}

static int order_of(const struct launch_rank *rank)
{
    return rank->failed_order ? rank->failed_order : rank->said_order;
}

static int cause_find(const struct launch_run *run)
{
    int own = -1, gone = -1, stopped = -1, lost = -1, other = -1;
    for (int r = run->n_ranks - 1; r >= 0; r--) {
        const struct launch_rank *rank = &run->ranks[r];
        bool spoke = rank->failed_order || rank->n_said;
        if (is_own(rank) && (own < 0 || order_of(rank) < order_of(&run->ranks[own])))
            own = r;
        if ((has_died(run, rank) || has_left(rank)) && (gone < 0 || rank->ended_ns < run->ranks[gone].ended_ns))
            gone = r;
        if (rank->was_stopped)
            stopped = r;
        if (rank->is_lost) /* asked to end, its host did not answer */
            lost = r;
        if (spoke && (other < 0 || order_of(rank) < order_of(&run->ranks[other])))
            other = r;
    }
    return own >= 0 ? own : gone >= 0 ? gone : stopped >= 0 ? stopped : lost >= 0 ? lost : other;
}

/* ---- words ---------------------------------------------------------------------------------------------------------- */

/* "rank 1 (process 4711 on h1)" */
static void rank_print(const struct launch_run *run, int r)
{
    char here[256] = "this host";
    const char *host = *run->ranks[r].host ? run->ranks[r].host : here;
    gethostname(here, sizeof here - 1);
    fprintf(stderr, "weir launch: rank %d (process %d on %s) ", r, (int)run->ranks[r].pid, host);
}

/* The first word about it. */
static void word_print(const struct launch_run *run)
{
    int r = 0;
    while (r < run->n_ranks && !run->ranks[r].n_said)
        r++;
    if (r < run->n_ranks)
        fprintf(stderr, "; %s", run->ranks[r].said[0]);
    fputc('\n', stderr);
}

static void end_print(const struct launch_run *run, int r)
{
    const struct launch_rank *rank = &run->ranks[r];
    rank_print(run, r);
    if (rank->is_lost)
        fprintf(stderr, rank->pid > 0 ? "is lost, with its host or its relay" : "was not started");
    else if (WIFSIGNALED(rank->wait_status))
        fprintf(stderr, "was ended by signal %d, %s", WTERMSIG(rank->wait_status), strsignal(WTERMSIG(rank->wait_status)));
    else
        fprintf(stderr, "left the run with exit status %d", WEXITSTATUS(rank->wait_status));
    word_print(run);
}

/* One of a host's processes stands for all: they have one network. */
static bool is_silent(const struct launch_run *run, const char *host)
{
    for (int r = 0; r < run->n_ranks; r++)
        if (run->ranks[r].was_silent && !strcmp(run->ranks[r].host, host))
            return true;
    return false;
}

/* None of the other hosts answered: it may be this one that is cut off.  *several_out: there are two of them or more, so it is. */
static bool hears_nobody(const struct launch_run *run, const char *here, bool *several_out)
{
    const char *first = NULL;
    bool several = false;
    for (int r = 0; r < run->n_ranks; r++) {
        const struct launch_rank *rank = &run->ranks[r];
        if (!strcmp(rank->host, here))
            continue;
        if (!is_silent(run, rank->host))
            return false;
        several |= first && strcmp(first, rank->host) != 0;
        first = first ? first : rank->host;
    }
    *several_out = several;
    return first;
}

static int silence_report(const struct launch_run *run, int r)
{
    char here[LAUNCH_HOST] = "this host";
    gethostname(here, sizeof here - 1);
    bool several = false, alone = hears_nobody(run, here, &several);
    if (alone && several) {
        fprintf(stderr, "weir launch: no other host has given a sign of life for %.1f s: host '%s' is cut off from them", run->timeout, here);
    } else {
        rank_print(run, r);
        fprintf(stderr, "has given no sign of life for %.1f s: its host is gone, or the network of host %s%s%s", run->timeout, run->ranks[r].host,
                alone ? " or of this one, " : "", alone ? here : "");
    }
    word_print(run);
    return weir_status_exit_code(WEIR_ERR_TIMEOUT);
}

static int stop_report(const struct launch_run *run, int r)
{
    rank_print(run, r);
    fprintf(stderr, "has been stopped for %.1f s", run->timeout);
    word_print(run);
    return weir_status_exit_code(WEIR_ERR_TIMEOUT);
}

static bool was_said(const struct launch_run *run, int r, int k)
{
    for (int q = 0; q <= r; q++)
        for (int i = 0; i < (q == r ? k : run->ranks[q].n_said); i++)
            if (!strcmp(run->ranks[q].said[i], run->ranks[r].said[k]) && is_own(&run->ranks[q]))
                return true;
    return false;
}

static void said_print(const struct launch_run *run, int cause)
{
    const struct launch_rank *first = &run->ranks[cause];
    if (!first->n_said)
        fprintf(stderr, "weir %s: %s\n", run->command, first->failed);
    for (int k = 0; k < first->n_said; k++)
        fprintf(stderr, "weir %s: %s\n", run->command, first->said[k]);
    for (int r = 0; r < run->n_ranks; r++)
        for (int k = 0; k < run->ranks[r].n_said; k++) {
            bool again = false;
            for (int i = 0; i < first->n_said; i++)
                again |= !strcmp(first->said[i], run->ranks[r].said[k]);
            bool of_others = run->ranks[r].said_status[k] == WEIR_ERR_TIMEOUT; /* who is silent is seen by all, each in its words */
            if (r != cause && is_own(&run->ranks[r]) && !of_others && !again && !was_said(run, r, k))
                fprintf(stderr, "weir %s: rank %d: %s\n", run->command, r, run->ranks[r].said[k]);
        }
}

static int code_of(const struct launch_rank *rank)
{
    weir_status status = rank->n_said ? rank->said_status[0] : rank->failed_status;
    return weir_status_exit_code(status);
}

/* Nobody failed. */
static int quiet_code(const struct launch_run *run)
{
    int code = 0;
    bool killed = false;
    for (int r = 0; r < run->n_ranks; r++) {
        const struct launch_rank *rank = &run->ranks[r];
        code = !code && rank->is_done ? rank->exit_code : code;
        killed |= rank->killed;
        if (WIFSIGNALED(rank->wait_status) && run->passed_signal)
            code = 128 + run->passed_signal;
    }
    if (killed)
        fprintf(stderr, "weir launch: not ended %.0f s after signal %d: killed, what was not saved is lost\n", run->grace,
                run->passed_signal);
    return code;
}

int launch_verdict(const struct launch_run *run, int *cause_out)
{
    int cause = cause_find(run);
    *cause_out = cause;
    if (cause < 0)
        return quiet_code(run);
    const struct launch_rank *rank = &run->ranks[cause];
    bool is_gone = has_died(run, rank) || has_left(rank) || (rank->is_lost && !rank->was_stopped);
    if (!is_own(rank) && rank->was_silent)
        return silence_report(run, cause);
    if (!is_own(rank) && is_gone) {
        end_print(run, cause);
        bool says_more = !rank->is_lost && WIFEXITED(rank->wait_status) && WEXITSTATUS(rank->wait_status);
        return says_more ? WEXITSTATUS(rank->wait_status) : weir_status_exit_code(WEIR_ERR_PEER);
    }
    if (!is_own(rank) && rank->was_stopped)
        return stop_report(run, cause);
    said_print(run, cause);
    return code_of(rank);
}
