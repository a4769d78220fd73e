/* The forms of `weir schedule` that have a file of their own. */
#ifndef WEIR_CMD_SCHEDULE_COMMAND_H
#define WEIR_CMD_SCHEDULE_COMMAND_H

#include "cmd/options.h"

extern const struct option_table schedule_simulate_table, schedule_compare_table, schedule_costs_table, schedule_draw_table;
int schedule_simulate_run(int argc, char **argv);
int schedule_compare_run(int argc, char **argv);
int schedule_costs_run(int argc, char **argv);
int schedule_draw_run(int argc, char **argv);

#endif
