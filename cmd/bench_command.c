/* weir bench: measure on this machine. */
#include "cmd/bench_command.h"
#include "cmd/command.h"
#include "cmd/forms.h"

static const struct option_table *const tables[] = {&bench_schedules_table, &bench_kernels_table, &bench_train_table, &bench_plan_table, NULL};
static int (*const forms[])(int argc, char **argv) = {bench_schedules_run, bench_kernels_run, bench_train_run, bench_plan_run}; /* as the tables */

static const char about[] = "measure on this machine: schedules, kernels, training steps, plans";

static int run(int argc, char **argv)
{
    int code, form = form_choose("bench", about, "", tables, argc, argv, &code);
    return form < 0 ? code : forms[form](argc - 1, argv + 1);
}

const struct command command_bench = {"bench", about, tables, run, true};
