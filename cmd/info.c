/* weir info: what this build has and what this machine is. */
#include <jansson.h>
#include <stdio.h>

#include "cmd/command.h"
#include "cmd/info_shared.h"
#include "cmd/info_topology.h"
#include "cmd/json_out.h"
#include "include/weir/info.h"

struct info_options {
    struct options given;
    bool json;
    const char *svg;
    struct info_placement placement;
};

#define FIELD(name) offsetof(struct info_options, name)

static const struct option_row rows[] = {
    {"json", 0, OPTION_FLAG, FIELD(json), NULL, "print one JSON object", 0, 0},
    {"placement", 0, OPTION_TEXT, FIELD(placement.order), "ORDER", "where the processes of a run go instead: cluster or spread", 0, 0},
    {"stages", 0, OPTION_INT, FIELD(placement.stages), "S", "of that run: pipeline stages (2)", 1, 1024},
    {"chunks", 0, OPTION_INT, FIELD(placement.chunks), "V", "stages per rank (the schedule's own)", 1, 1024},
    {"schedule", 0, OPTION_TEXT, FIELD(placement.schedule), "NAME|FILE", "pipeline schedule (1f1b, interleaved with --chunks)", 0, 0},
    {"replicas", 0, OPTION_INT, FIELD(placement.replicas), "D", "copies of the pipeline (1)", 1, 65536},
    {"threads-per-rank", 0, OPTION_INT, FIELD(placement.threads), "N", "threads of each rank (1)", 1, 4096},
    {"ranks-per-host", 0, OPTION_INT, FIELD(placement.ranks_per_host), "N", "processes on each host (all on one)", 1, 4096},
    {"topology", 0, OPTION_TEXT, FIELD(placement.topology), "FILE|TEXT", "devices and links of FILES, 'this' or '2 nodes x 8, 400GB/s, 50GB/s'; "
     "--placement: host, hwloc's XML or 'pack:2 core:4 pu:2' (this machine)", 0, 0},
    {"svg", 0, OPTION_TEXT, FIELD(svg), "FILE", "--topology: draw it too", 0, 0},
    {0},
};

static const struct option_table table = {"info", "", "show devices, topology, libraries and versions",
                                          "weir info --placement cluster --stages 4 --replicas 2", rows, NULL};

/* Devices of a kind, or 0 with the reason in `why`. */
static int devices_count(int kind, char why[WEIR_ERROR_MAX])
{
    int n = 0;
    *why = 0;
    if (weir_info_device_count(kind, &n)) {
        options_error(why);
        return 0;
    }
    return n;
}

static void text_print(const char *machine)
{
    char why[WEIR_ERROR_MAX];
    printf("weir        %s\nmachine     %s\n", weir_version(), machine);
    for (int i = 0; weir_info_device(i); i++) {
        int n = devices_count(i, why);
        printf("device      %s: %d%s%s (%s)\n", weir_info_device(i), n, *why ? ", " : "", why, weir_info_device_summary(i));
    }
    if (weir_info_device_find("cuda")) {
        options_error(why);
        printf("device      cuda: none, %s\n", why);
    }
    for (int i = 0; weir_info_transport(i); i++)
        printf("transport   %s: %s\n", weir_info_transport(i), weir_info_transport_summary(i));
    info_launcher_print();
    for (int i = 0; weir_info_library(i); i++)
        if (weir_info_library_version(i))
            printf("library     %s %s%s\n", weir_info_library(i), weir_info_library_version(i),
                   weir_info_library_is_used(i) ? "" : " (found; nothing in this version uses it)");
        else
            printf("library     %s: not in this build (-D%s=ON)\n", weir_info_library(i), weir_info_library_option(i));
}

static int json_print(const char *machine)
{
    char why[WEIR_ERROR_MAX];
    json_t *devices = json_array(), *transports = json_array(), *libraries = json_object();
    for (int i = 0; weir_info_device(i); i++) {
        int n = devices_count(i, why);
        json_array_append_new(devices, json_pack("{s:s, s:i, s:s}", "name", weir_info_device(i), "count", n, "reason", why));
    }
    for (int i = 0; weir_info_transport(i); i++)
        json_array_append_new(transports, json_string(weir_info_transport(i)));
    for (int i = 0; weir_info_library(i); i++)
        json_object_set_new(libraries, weir_info_library(i), json_pack("s?", weir_info_library_version(i)));
    json_t *root = json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:o}", "version", weir_version(), "machine", machine, "cores",
                             weir_info_cores(), "devices", devices, "transports", transports, "launcher",
                             info_launcher_json(), "libraries", libraries);
    return options_report("info", json_out(root));
}

/* Options that say nothing without --placement are refused: whoever gives them waits for a table. */
static weir_status placement_check(const struct info_options *options)
{
    if (options->svg && (!options->placement.topology || options->placement.order))
        return WEIR_FAIL(WEIR_ERR_USAGE, "--svg draws a topology: give --topology, without --placement");
    for (const struct option_row *row = rows; row->name; row++)
        if (row->offset >= FIELD(placement) && row->offset != FIELD(placement.topology) && !options->placement.order &&
            options_given(&options->given, row->name))
            return WEIR_FAIL(WEIR_ERR_USAGE, "--%s needs --placement cluster or --placement spread", row->name);
    return WEIR_OK;
}

static int run(int argc, char **argv)
{
    struct info_options options = {.placement = {.stages = 2, .replicas = 1, .threads = 1}};
    int n, code;
    char machine[256];
    enum option_outcome outcome;
    weir_status status = options_parse(&options.given, &table, argc, argv, &options, NULL, 0, &n, &outcome);
    if (status || outcome == OPTIONS_HELP_SHOWN)
        return options_report("info", status);
    options.placement.stages_given = options_given(&options.given, "stages");
    status = placement_check(&options);
    if (!status && options.placement.order)
        status = info_placement_print(&options.placement, options.json, &code);
    if (status || options.placement.order)
        return status ? options_report("info", status) : code;
    if (options.placement.topology)
        return options_report("info", info_topology_print(options.placement.topology, options.svg, options.json));
    status = weir_info_machine(machine, sizeof machine);
    if (status)
        return options_report("info", status);
    if (options.json)
        return json_print(machine);
    text_print(machine);
    return 0;
}

static const struct option_table *const tables[] = {&table, NULL};
/* In each of several processes: what a launcher tells each is what people ask. */
const struct command command_info = {"info", "show devices, topology, libraries and versions", tables, run, false};
