/* The subcommands of `weir`: one const row each, listed in cmd/commands.c. */
#ifndef WEIR_CMD_COMMAND_H
#define WEIR_CMD_COMMAND_H

#include <stdbool.h>

#include "cmd/options.h"

struct command {
    const char *name;    /* "train" */
    const char *summary; /* one line, no full stop */
    const struct option_table *const *tables; /* NULL-terminated: one per form of the command, for help and man page */
    int (*run)(int argc, char **argv); /* argv[0] is the subcommand's name; returns the exit status */
    bool is_single; /* one process does all of it: refused when a launcher has started several */
};

extern const struct command command_train, command_evaluate, command_launch, command_generate, command_tokenize, command_plan,
    command_profile, command_schedule, command_checkpoint, command_bench, command_info, command_explain;

enum { COMMANDS_MOST = 16 };
extern const struct command *const commands[]; /* NULL-terminated: all of them, in the order of help */

/* WEIR_ERR_USAGE: there is no command of that name. */
weir_status command_find(const char *name, const struct command **command_out);

#endif
