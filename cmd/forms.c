#include "cmd/forms.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { FORMS_MOST = 16, NAME_WIDTH = 10 };

/* "schedule make": "make" */
static const char *form_name(const struct option_table *table)
{
    return strrchr(table->command, ' ') + 1;
}

static void usage(FILE *out, const char *command, const char *about, const char *more, const struct option_table *const *tables)
{
    fprintf(out, "weir %s: %s\n\nusage: weir %s FORM [options]\n\n", command, about, command);
    for (int i = 0; tables[i]; i++)
        fprintf(out, "  %-*s %s\n", NAME_WIDTH, form_name(tables[i]), tables[i]->summary);
    fprintf(out, "\n  weir %s FORM --help shows the options%s\n", command, more);
}

int form_choose(const char *command, const char *about, const char *more, const struct option_table *const *tables, int argc,
                char **argv, int *exit_out)
{
    const char *names[FORMS_MOST + 1] = {0};
    bool help = argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));
    if (argc < 2 || help) {
        usage(help ? stdout : stderr, command, about, more, tables);
        *exit_out = help ? 0 : 2;
        return -1;
    }
    for (int i = 0; i < FORMS_MOST && tables[i]; i++) {
        names[i] = form_name(tables[i]);
        if (!strcmp(argv[1], names[i]))
            return i;
    }
    *exit_out = options_report(command, weir_unknown("form", argv[1], names));
    return -1;
}
