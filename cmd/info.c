/* weir info: what this build has and what this machine is. */
#include <stdio.h>

#include "cmd/command.h"
#include "weir_parts.h"

struct info_options {
    bool json;
};

static const struct option_row rows[] = {
    {"json", 0, OPTION_FLAG, offsetof(struct info_options, json), NULL, "print one JSON object", 0, 0},
    {0},
};

static const struct option_table table = {"info", "", "show devices, topology, libraries and versions", "weir info", rows};

static int run(int argc, char **argv)
{
    struct info_options options = {0};
    int n;
    enum option_outcome outcome;
    weir_status status = options_parse(&table, argc, argv, &options, NULL, 0, &n, &outcome);
    if (status || outcome == OPTIONS_HELP_SHOWN)
        return options_report("info", status);
    printf(options.json ? "{\"version\": \"%s\"}\n" : "weir %s\n", WEIR_VERSION);
    return 0;
}

static const struct option_table *const tables[] = {&table, NULL};
const struct command command_info = {"info", "show devices, topology, libraries and versions", tables, run};
