/* The forms of `weir bench`: one row in bench_command.c and a file each. */
#ifndef WEIR_CMD_BENCH_COMMAND_H
#define WEIR_CMD_BENCH_COMMAND_H

#include "cmd/options.h"

extern const struct option_table bench_schedules_table, bench_kernels_table, bench_train_table, bench_plan_table;
int bench_schedules_run(int argc, char **argv);
int bench_kernels_run(int argc, char **argv);
int bench_train_run(int argc, char **argv);
int bench_plan_run(int argc, char **argv);

#endif
