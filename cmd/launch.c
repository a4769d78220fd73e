/* weir launch: start and supervise the processes of a run on this host. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cmd/command.h"
#include "cmd/launch.h"
#include "cmd/launch_shrink.h"

struct launch_options {
    int64_t n, restarts, min_ranks;
    const char *hosts, *hostfile;
    double grace;
    struct options given;
};

#define ROW(name, letter, kind, field, argument, help, ...)                                                            \
    {name, letter, kind, offsetof(struct launch_options, field), argument, help, __VA_ARGS__}

static const struct option_row rows[] = {
    ROW("n", 'n', OPTION_INT, n, "N", "processes: one for every rank of every replica", 1, WEIR_LAUNCH_MOST),
    ROW("hosts", 0, OPTION_TEXT, hosts, "H:K,...", "where, over mpirun: names, and how many processes each has", 0, 0),
    ROW("hostfile", 0, OPTION_TEXT, hostfile, "FILE", "where, as mpirun's --hostfile has it", 0, 0),
    ROW("grace", 0, OPTION_TIME, grace, "TIME", "after SIGTERM or SIGINT they have so long to save and end (150s)", 0, 0),
    ROW("restarts", 0, OPTION_INT, restarts, "K", "when a process died or hung: begin again from the newest checkpoint, K times (0)", 0, 1e6),
    ROW("min-ranks", 0, OPTION_INT, min_ranks, "M", "with --restarts: without hosts that are gone, when so many ranks are left (all)", 1,
        WEIR_LAUNCH_MOST),
    {0},
};

static const struct option_table table = {
    "launch", "-n N -- COMMAND", "start and supervise the processes of a run",
    "weir launch -n 2 -- train --model gpt2-tiny --data book.txt --stages 2", rows, NULL};

/* Where "--" stands in argv; argc: nowhere. */
static int separator_find(int argc, char **argv)
{
    int at = 1;
    while (at < argc && strcmp(argv[at], "--") != 0)
        at++;
    return at;
}

static weir_status once(struct launch_run *run, int *code_out)
{
    int cause;
    run->order = run->n_lines = 0;
    run->launch = NULL;
    bool far = run->hosts.list || run->hosts.file;
    weir_status status = far ? WEIR_OK : weir_launch_open(run->n_ranks, &run->launch);
    if (!status)
        status = launch_start(run);
    if (!status)
        status = launch_watch(run);
    weir_launch_close(run->launch);
    if (!status)
        *code_out = launch_verdict(run, &cause);
    return status;
}

static bool has_word(char *const *words, const char *word)
{
    size_t n = strlen(word);
    for (int i = 0; words[i]; i++)
        if (!strncmp(words[i], word, n) && (!words[i][n] || words[i][n] == '='))
            return true;
    return false;
}

/* Seconds that --timeout of the command names, or the 60 that it has without. */
static double timeout_of(char *const *words)
{
    static const char name[] = "--timeout";
    double seconds = 60;
    for (int i = 0; words[i]; i++)
        if (!strncmp(words[i], name, sizeof name - 1)) {
            const char *value = words[i] + sizeof name - 1;
            value = *value == '=' ? value + 1 : *value ? NULL : words[i + 1];
            seconds = value ? strtod(value, NULL) : seconds;
        }
    return seconds;
}

/* A run that lost a process, or in which one hung, may do better next time; one that failed by itself does not. */
static bool may_restart(const struct launch_run *run, int code)
{
    return !run->passed_signal && (code == weir_status_exit_code(WEIR_ERR_PEER) || code == weir_status_exit_code(WEIR_ERR_TIMEOUT));
}

/* The words of a run that goes on: with --resume. */
static weir_status resumed_words(char *const *words, char ***resumed_out)
{
    static char resume[] = "--resume";
    int n = 0;
    while (words[n])
        n++;
    char **resumed;
    weir_status status = weir_alloc((size_t)n + 2, sizeof *resumed, &resumed);
    if (status)
        return status;
    for (int i = 0; i < n; i++)
        resumed[i] = words[i];
    resumed[n] = has_word(words, resume) ? NULL : resume;
    *resumed_out = resumed;
    return WEIR_OK;
}

/* Without the hosts that are gone, if there are such and enough is left.  The list that the run has may be smaller->hosts. */
static weir_status shrink(struct launch_run *run, int64_t min_ranks, char **words, struct launch_smaller *smaller)
{
    struct weir_text left = {0};
    int n;
    weir_status status = launch_hosts_left(run, &left, &n);
    if (!status && n && n < min_ranks)
        status = WEIR_FAIL(WEIR_ERR_PEER, "a host is gone, %d ranks are left, --min-ranks is %lld", n, (long long)min_ranks);
    if (!status && n && !min_ranks)
        status = WEIR_FAIL(WEIR_ERR_PEER, "a host is gone, %d ranks are left: --min-ranks would let the run go on with them", n);
    smaller->n_ranks = n;
    if (!status && n)
        status = launch_words_shrink(words, run->n_ranks, smaller);
    if (status || !n) {
        weir_text_release(&left);
        return status;
    }
    weir_text_release(&smaller->hosts);
    smaller->hosts = left;
    run->n_ranks = smaller->n_ranks;
    run->hosts.list = smaller->hosts.data;
    fprintf(stderr, "weir launch: a host is gone: goes on with %d ranks on %s\n", run->n_ranks, run->hosts.list);
    return WEIR_OK;
}

static weir_status attempts(struct launch_run *run, const struct launch_options *o, int *code_out)
{
    char **resumed = NULL;
    struct launch_smaller smaller = {0};
    weir_status status = o->restarts ? resumed_words(run->arguments, &resumed) : WEIR_OK;
    if (!status)
        status = once(run, code_out);
    for (int64_t k = 1; k <= o->restarts && !status && may_restart(run, *code_out); k++) {
        status = run->hosts.list ? shrink(run, o->min_ranks, resumed, &smaller) : WEIR_OK;
        if (status)
            break;
        fprintf(stderr, "weir launch: restart %lld of %lld, from the newest checkpoint\n", (long long)k, (long long)o->restarts);
        run->arguments = resumed;
        status = once(run, code_out);
    }
    weir_text_release(&smaller.hosts);
    weir_free(resumed);
    return status;
}

static weir_status launch(const struct launch_options *o, char **words, int *code_out)
{
    struct launch_run run = {.n_ranks = (int)o->n, .command = words[1], .arguments = words, .grace = o->grace,
                             .timeout = timeout_of(words),
                             .hosts = {o->hosts, o->hostfile}};
    if (o->restarts && !has_word(words, "--checkpoint-dir") && !has_word(words, "--config") && !has_word(words, "-c"))
        return WEIR_FAIL(WEIR_ERR_USAGE, "--restarts goes on from checkpoints: give the command --checkpoint-dir");
    weir_status status = weir_alloc((size_t)run.n_ranks, sizeof *run.ranks, &run.ranks);
    if (!status)
        status = launch_signals_open(&run);
    if (!status)
        status = attempts(&run, o, code_out);
    weir_free(run.ranks);
    return status;
}

static weir_status hosts_number(struct launch_options *o)
{
    int n;
    weir_status status = launch_hosts_count(o->hosts, &n);
    o->n = status ? 0 : n;
    return status;
}

/* What mpirun takes. */
static weir_status words_check(int n, char *const *words, bool separated)
{
    const struct command *command;
    for (int i = 1; i < n; i++) {
        if (!strcmp(words[i], "-np"))
            return WEIR_FAIL(WEIR_ERR_USAGE, "unknown option '-np': in weir it is -n");
        if (!separated && !command_find(words[i], &command))
            return WEIR_FAIL(WEIR_ERR_USAGE, "'--' is missing before '%s': weir launch -n N -- %s ...", words[i], words[i]);
    }
    return WEIR_OK;
}

static weir_status where_check(const struct launch_options *o)
{
    if (o->hosts && o->hostfile)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--hosts and --hostfile both say where: give one of them");
    if ((o->hosts && !*o->hosts) || (o->hostfile && !*o->hostfile))
        return WEIR_FAIL(WEIR_ERR_USAGE, "--%s is empty: name the hosts, or leave it out", o->hosts ? "hosts" : "hostfile");
    if (o->min_ranks && (!o->hosts || !o->restarts))
        return WEIR_FAIL(WEIR_ERR_USAGE, "--min-ranks is for restarts without hosts that are gone: give --hosts and --restarts");
    return WEIR_OK;
}

static weir_status options_check(const struct launch_options *o, int n_words, char *const *words)
{
    const struct command *command;
    weir_status status = where_check(o);
    if (status)
        return status;
    if (!o->n)
        return WEIR_FAIL(WEIR_ERR_USAGE, "-n is missing: the number of processes, one for every rank of every replica");
    if (!n_words)
        return WEIR_FAIL(WEIR_ERR_USAGE, "the command is missing: weir launch -n %lld -- train ...", (long long)o->n);
    return command_find(words[0], &command);
}

static int run(int argc, char **argv)
{
    struct launch_options o = {.grace = 150};
    int n, code = 0, at = separator_find(argc, argv), n_words = at < argc ? argc - at - 1 : 0;
    enum option_outcome outcome = OPTIONS_PARSED;
    weir_status status = words_check(at, argv, at < argc);
    if (!status)
        status = options_parse(&o.given, &table, at, argv, &o, NULL, 0, &n, &outcome);
    bool done = status || outcome == OPTIONS_HELP_SHOWN;
    if (!done && o.hosts && !options_given(&o.given, "n"))
        status = hosts_number(&o);
    if (!done && !status)
        status = options_check(&o, n_words, argv + at + 1);
    if (!done && !status) {
        static char name[] = "weir";
        argv[at] = name; /* in place of "--": argv[0] of the processes */
        status = launch(&o, argv + at, &code);
    }
    options_release(&o.given);
    return status ? options_report("launch", status) : code;
}

static const struct option_table *const tables[] = {&table, NULL};
const struct command command_launch = {"launch", "start and supervise the processes of a run", tables, run, true};
