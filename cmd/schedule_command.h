/* What the forms of `weir schedule` share. */
#ifndef WEIR_CMD_SCHEDULE_COMMAND_H
#define WEIR_CMD_SCHEDULE_COMMAND_H

#include "cmd/options.h"
#include "schedules/schedule.h"

/* -p, -v and -m as given; 0 where not. */
struct schedule_size {
    int64_t ranks, chunks, microbatches, group_size;
};

extern const struct option_table schedule_simulate_table;
int schedule_simulate_run(int argc, char **argv);

/* A file ("-": standard input) in the dialect called `dialect`. */
weir_status schedule_load(const char *path, const char *dialect, struct weir_arena *arena, struct weir_schedule *out);

/* The schedule called `name` at the given size; `command` is for messages. */
weir_status schedule_make(const char *name, const struct schedule_size *size, struct weir_arena *arena,
                          struct weir_schedule *out);

/* Text of a library message as the inside of a JSON string, on stdout. */
void schedule_json_string(const char *text);

#endif
