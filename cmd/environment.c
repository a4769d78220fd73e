#include "cmd/environment.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "base/text.h"

static const char *const names[] = {"WEIR_LOG", "WEIR_FAULT", "WEIR_FAULT_LOG", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

/* Of `weir launch`, the build, its tests and its benchmarks: how their names begin. */
static const char *const of_the_tree[] = {"WEIR_LAUNCH_", "WEIR_TEST", "WEIR_FAKE",   "WEIR_GPU_",  "WEIR_ROWS_", "WEIR_SOURCE_DIR", "WEIR_BINARY_DIR",
                                          "WEIR_PYTHON", "WEIR_GOLDEN", "WEIR_AUTO_SETS", "WEIR_SLURM_DIR", "WEIR_CUDA", "WEIR_CUDNN",
                                          "WEIR_MPI",  "WEIR_NCCL",   "WEIR_ONEDNN", "WEIR_WERROR", NULL};

static bool is_known(const char *name)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], name))
            return true;
    for (int i = 0; of_the_tree[i]; i++)
        if (!strncmp(of_the_tree[i], name, strlen(of_the_tree[i])))
            return true;
    return false;
}

static void variable_check(const char *variable)
{
    char name[128], shown[4 * sizeof name];
    const char *value = strchr(variable, '=');
    snprintf(name, sizeof name, "%.*s", (int)(value ? value - variable : 0), variable);
    if (strncmp(name, "WEIR_", 5) != 0)
        return;
    const char *near = is_known(name) ? NULL : weir_suggest(name, names);
    weir_printable(name, shown, sizeof shown);
    if (near)
        fprintf(stderr, "weir: environment variable '%s' is not used: did you mean '%s'?\n", shown, near);
    else if (!is_known(name))
        fprintf(stderr, "weir: environment variable '%s' is not used\n", shown);
}

static void level_check(const char *value)
{
    char shown[256];
    for (int i = 0; levels[i]; i++)
        if (!strcmp(levels[i], value))
            return;
    fprintf(stderr, "weir: WEIR_LOG is '%s', it can be error, warn, info or debug: taken for warn\n",
            weir_printable(value, shown, sizeof shown));
}

void environment_check(const char *const *environment)
{
    for (; *environment; environment++) {
        variable_check(*environment);
        if (!strncmp(*environment, "WEIR_LOG=", 9) && (*environment)[9])
            level_check(*environment + 9);
    }
}
