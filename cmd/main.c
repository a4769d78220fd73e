/* The `weir` command: find the subcommand, run it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/command.h"
#include "cmd/launched.h"
#include "weir_parts.h"

static const struct command *const commands[] = {&command_train,    &command_generate, &command_plan,
                                                 &command_schedule, &command_info,     NULL};

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

static const struct command *command_find(const char *name)
{
    for (const struct command *const *c = commands; *c; c++)
        if (!strcmp((*c)->name, name))
            return *c;
    const char *names[sizeof commands / sizeof commands[0]];
    int n = 0;
    for (const struct command *const *c = commands; *c; c++)
        names[n++] = (*c)->name;
    names[n] = NULL;
    weir_unknown("command", name, names);
    return NULL;
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

int main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        usage(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("weir %s\n", WEIR_VERSION);
        return 0;
    }
    bool man = !strcmp(argv[1], "--man") && argc == 3;
    const struct command *command = command_find(argv[man ? 2 : 1]);
    if (!command) {
        fprintf(stderr, "weir: %s\n", weir_last_error()); /* it names no option */
        return 2;
    }
    if (man) {
        man_page(command);
        return 0;
    }
    if (command->is_single && !help_wanted(argc, argv) && launched_alone(command->name))
        return several_refuse(command);
    int code = command->run(argc - 1, argv + 1);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "weir %s: cannot write to standard output\n", command->name);
        code = code ? code : 1;
    }
    if (code == weir_status_exit_code(WEIR_ERR_PEER) || code == weir_status_exit_code(WEIR_ERR_TIMEOUT)) {
        fflush(NULL);
        _exit(code); /* exit functions of CUDA and NCCL may wait for a device that waits for the lost process */
    }
    return code;
}
