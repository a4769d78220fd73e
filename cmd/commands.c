#include <string.h>

#include "base/text.h"
#include "cmd/command.h"

const struct command *const commands[] = {&command_train, &command_evaluate, &command_launch, &command_generate,
                                          &command_tokenize, &command_plan, &command_profile, &command_schedule,
                                          &command_checkpoint, &command_bench, &command_info, &command_explain, NULL};

_Static_assert(sizeof commands / sizeof commands[0] <= COMMANDS_MOST + 1, "room for every name");

weir_status command_find(const char *name, const struct command **command_out)
{
    const char *names[COMMANDS_MOST + 1] = {0};
    for (int n = 0; commands[n]; n++) {
        names[n] = commands[n]->name;
        if (!strcmp(names[n], name)) {
            *command_out = commands[n];
            return WEIR_OK;
        }
    }
    return weir_unknown("command", name, names);
}
