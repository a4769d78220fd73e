/* weir bench: measure on this machine. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/bench_command.h"
#include "cmd/command.h"

static const struct {
    const char *name;
    const struct option_table *table;
    int (*run)(int argc, char **argv);
} forms[] = {
    {"schedules", &bench_schedules_table, bench_schedules_run},
};

enum { N_FORMS = sizeof forms / sizeof forms[0] };

static void usage(FILE *out)
{
    fprintf(out, "weir bench: measure on this machine\n\nusage: weir bench FORM [options]\n\n");
    for (int i = 0; i < N_FORMS; i++)
        fprintf(out, "  %-10s %s\n", forms[i].name, forms[i].table->summary);
    fprintf(out, "\n  weir bench FORM --help shows the options\n");
}

static int run(int argc, char **argv)
{
    const char *names[N_FORMS + 1] = {0};
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        usage(stdout);
        return 0;
    }
    for (int i = 0; i < N_FORMS; i++) {
        names[i] = forms[i].name;
        if (!strcmp(argv[1], forms[i].name))
            return forms[i].run(argc - 1, argv + 1);
    }
    return options_report("bench", weir_unknown("form", argv[1], names));
}

static const struct option_table *const tables[] = {&bench_schedules_table, NULL};
const struct command command_bench = {"bench", "measure on this machine: schedules", tables, run, true};
