/* The `weir` command: find the subcommand, run it. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/printable.h"
#include "cmd/command.h"
#include "cmd/environment.h"
#include "cmd/launch_note.h"
#include "cmd/launched.h"
#include "weir_libraries.h"

static void usage(FILE *out)
{
    fprintf(out, "weir: train models on pipelines of devices\n\nusage: weir COMMAND [options]\n\n");
    for (const struct command *const *c = commands; *c; c++)
        fprintf(out, "  %-11s %s\n", (*c)->name, (*c)->summary);
    fprintf(out, "\n  weir COMMAND --help shows the options; weir --version prints the version\n");
}

/* The man page of one command (the build writes it to share/man). */
static void man_page(const struct command *command)
{
    printf(".TH WEIR-%s 1 \"\" \"weir %s\" \"Weir\"\n.SH NAME\nweir-%s \\- %s\n.SH SYNOPSIS\n", command->name, WEIR_VERSION,
           command->name, command->summary);
    for (const struct option_table *const *table = command->tables; *table; table++)
        printf(".B weir %s\n%s [options]\n.br\n", (*table)->command, (*table)->arguments);
    printf(".SH OPTIONS\n");
    for (const struct option_table *const *table = command->tables; *table; table++)
        options_print_man(*table);
    printf(".SH EXIT STATUS\n0 ok, 1 failed (bad input, I/O, invalid schedule), 2 usage, 3 does not fit or no plan, "
           "4 peer lost, 5 timeout, 6 numerical error, 128+n stopped by signal n.\n");
}

/* NULL: there is none, and the first process has said so. */
static const struct command *command_named(const char *name)
{
    const struct command *command = NULL;
    char shown[4 * WEIR_ERROR_MAX];
    if (command_find(name, &command) && launched_leads())
        fprintf(stderr, "weir: %s\n", weir_printable(weir_last_error(), shown, sizeof shown)); /* it names no option */
    else if (!command)
        launched_linger();
    return command;
}

static bool help_wanted(int argc, char **argv)
{
    bool wanted = false;
    for (int i = 2; i < argc; i++)
        wanted |= !strcmp(argv[i], "--help") || !strcmp(argv[i], "-h");
    return wanted;
}

/* Each of the processes would do everything and write the same files. */
static int several_refuse(const struct command *command)
{
    if (launched_leads())
        return options_report(command->name, WEIR_ERR_USAGE);
    launched_linger();
    return weir_status_exit_code(WEIR_ERR_USAGE);
}

/* "weir help train data" is "weir train --help data". */
static int help_run(int argc, char **argv, const char **name_out)
{
    char dashes[] = "--help", *words[] = {argv[2], dashes, argc > 3 ? argv[3] : NULL, NULL};
    const struct command *command = command_named(argv[2]);
    if (!command)
        return 2;
    *name_out = command->name;
    return command->run(argc > 3 ? 3 : 2, words);
}

/* The command's exit status; *name_out: the subcommand, for messages. */
static int command_line_run(int argc, char **argv, const char **name_out)
{
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    bool help = !strcmp(argv[1], "help");
    if (help && argc > 2)
        return help_run(argc, argv, name_out);
    if (help || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        usage(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("weir %s\n", WEIR_VERSION);
        return 0;
    }
    if (!strcmp(argv[1], "launch-relay")) /* what `weir launch` has mpirun start: no command for people */
        return launch_relay(argc, argv);
    bool man = !strcmp(argv[1], "--man") && argc == 3;
    const struct command *command = command_named(argv[man ? 2 : 1]);
    if (!command)
        return 2;
    *name_out = command->name;
    if (man) {
        man_page(command);
        return 0;
    }
    if (command->is_single && !help_wanted(argc, argv) && launched_alone(command->name))
        return several_refuse(command);
    return command->run(argc - 1, argv + 1);
}

/* ---- surroundings --------------------------------------------------------------------------------------------------- */

/* A stream that the parent has closed would be the number of the next file that is opened: what is printed would go into
 * it.  In its place stands a file of which every use fails; what is said on standard error goes nowhere. */
static void streams_open(void)
{
    static const int modes[] = {O_WRONLY, O_RDONLY, O_WRONLY};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
            _exit(1); /* there is nowhere to say why */
}

/* A reader that goes away and a limit on the size of files are errors of the write, not the end of the process. */
static void signals_ignore(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

/* The reader of standard output has gone, as in `weir schedule list | head -n 1`: not worth a message. */
static bool reader_left(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

/* What was printed must have arrived. */
static int output_check(const char *name, int code)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    int reason = errno;
    if (reader_left())
        return code ? code : 128 + SIGPIPE;
    fprintf(stderr, "weir%s%s: cannot write to standard output%s%s\n", *name ? " " : "", name, reason ? ": " : "",
            reason ? strerror(reason) : "");
    return code ? code : 1;
}

/* glibc's allocator asks for 64 MiB of addresses for each thread, and for a moment for more.  Where addresses are limited that
 * is what another thread needs, and every allocation asks again: all threads share one of its heaps there. */
static void heaps_limit(void)
{
#ifdef __GLIBC__
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        mallopt(M_ARENA_MAX, 1);
#endif
}

/* A planner compiles one program after the other, tens of MiB each: what is freed is wanted again at once. */
static void heap_keep(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

int main(int argc, char **argv)
{
    const char *name = "";
    heaps_limit();
    if (argc > 1 && !strcmp(argv[1], "plan"))
        heap_keep();
    streams_open();
    signals_ignore();
    if (launched_leads() && !launched_supervised()) /* the launcher has looked */
        environment_check((const char *const *)environ);
    int code = command_line_run(argc, argv, &name);
    code = output_check(name, code);
    launched_done(code);
    bool lost = code == weir_status_exit_code(WEIR_ERR_PEER) || code == weir_status_exit_code(WEIR_ERR_TIMEOUT);
    if (lost || (code && launched_several())) {
        fflush(NULL);
        _exit(code); /* exit functions of CUDA and NCCL may wait for a device that waits for a lost process */
    }
    return code;
}
