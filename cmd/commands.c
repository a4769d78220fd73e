#include "cmd/command.h"

const struct command *const commands[] = {&command_train, &command_evaluate, &command_launch, &command_generate,
                                          &command_tokenize, &command_plan, &command_profile, &command_schedule,
                                          &command_checkpoint, &command_bench, &command_info, &command_explain, NULL};

_Static_assert(sizeof commands / sizeof commands[0] <= COMMANDS_MOST + 1, "room for every name");
