/* weir info: what this build has and what this machine is. */
#include <jansson.h>
#include <stdio.h>

#include "cmd/command.h"
#include "cmd/info_parts.h"
#include "engine/device/device.h"
#include "engine/transport/transport.h"
#include "weir_parts.h"

struct info_options {
    bool json;
};

static const struct option_row rows[] = {
    {"json", 0, OPTION_FLAG, offsetof(struct info_options, json), NULL, "print one JSON object", 0, 0},
    {0},
};

static const struct option_table table = {"info", "", "show devices, topology, libraries and versions", "weir info", rows};

static const struct part {
    const char *name;
    int there;
    const char *version, *option;
    int used;
} parts[] = {
#define PART_ROW(name, there, version, option, used) {name, there, version, option, used},
    WEIR_PARTS_TABLE(PART_ROW)
#undef PART_ROW
};

enum { N_PARTS = sizeof parts / sizeof parts[0] };

/* Devices of a kind, or 0 with the reason in `why`. */
static int devices_count(const struct weir_device_kind *kind, const char **why)
{
    int n = 0;
    *why = "";
    if (kind->count(&n)) {
        *why = weir_last_error();
        return 0;
    }
    return n;
}

static void text_print(const char *machine)
{
    const char *why;
    printf("weir        %s\nmachine     %s\n", WEIR_VERSION, machine);
    for (const struct weir_device_kind *const *kind = weir_device_kinds; *kind; kind++) {
        int n = devices_count(*kind, &why);
        printf("device      %s: %d%s%s (%s)\n", (*kind)->name, n, *why ? ", " : "", why, (*kind)->summary);
    }
    for (const struct weir_transport_kind *const *kind = weir_transport_kinds; *kind; kind++)
        printf("transport   %s: %s\n", (*kind)->name, (*kind)->summary);
    info_launcher_print();
    for (int i = 0; i < N_PARTS; i++)
        if (parts[i].there)
            printf("library     %s %s%s\n", parts[i].name, parts[i].version,
                   parts[i].used ? "" : " (found; nothing in this version uses it)");
        else
            printf("library     %s: not in this build (-D%s=ON)\n", parts[i].name, parts[i].option);
}

static int json_print(const char *machine)
{
    const char *why;
    json_t *devices = json_array(), *transports = json_array(), *libraries = json_object();
    for (const struct weir_device_kind *const *kind = weir_device_kinds; *kind; kind++) {
        int n = devices_count(*kind, &why);
        json_array_append_new(devices, json_pack("{s:s, s:i, s:s}", "name", (*kind)->name, "count", n, "reason", why));
    }
    for (const struct weir_transport_kind *const *kind = weir_transport_kinds; *kind; kind++)
        json_array_append_new(transports, json_string((*kind)->name));
    for (int i = 0; i < N_PARTS; i++)
        json_object_set_new(libraries, parts[i].name, parts[i].there ? json_string(parts[i].version) : json_null());
    json_t *root = json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:o}", "version", WEIR_VERSION, "machine", machine, "cores",
                             weir_cpu_cores(), "devices", devices, "transports", transports, "launcher",
                             info_launcher_json(), "libraries", libraries);
    int code = root ? json_dumpf(root, stdout, JSON_INDENT(2)) : -1;
    printf("\n");
    json_decref(root);
    return code ? 1 : 0;
}

static int run(int argc, char **argv)
{
    struct info_options options = {0};
    int n;
    char machine[256];
    enum option_outcome outcome;
    weir_status status = options_parse(&table, argc, argv, &options, NULL, 0, &n, &outcome);
    if (status || outcome == OPTIONS_HELP_SHOWN)
        return options_report("info", status);
    status = weir_cpu_describe(machine, sizeof machine);
    if (status)
        return options_report("info", status);
    if (options.json)
        return json_print(machine);
    text_print(machine);
    return 0;
}

static const struct option_table *const tables[] = {&table, NULL};
const struct command command_info = {"info", "show devices, topology, libraries and versions", tables, run};
