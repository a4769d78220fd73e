/* Commands with forms: "weir schedule make", "weir checkpoint list". */
#ifndef WEIR_CMD_FORMS_H
#define WEIR_CMD_FORMS_H

#include "cmd/options.h"

/* Which form argv[1] names: its index in `tables`, whose commands are "COMMAND FORM".  -1: none, and *exit_out is the exit status,
 * after help or a message.  `about` is the first line of help without the command's name, `more` stands at its end or is "". */
int form_choose(const char *command, const char *about, const char *more, const struct option_table *const *tables, int argc,
                char **argv, int *exit_out);

#endif
