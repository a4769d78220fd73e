/* weir checkpoint: look at checkpoints, and turn them into others. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/checkpoint_forms.h"
#include "cmd/command.h"
#include "cmd/forms.h"

static const struct option_table *const tables[] = {&checkpoint_list_table,    &checkpoint_show_table,
                                                    &checkpoint_verify_table,  &checkpoint_compare_table,
                                                    &checkpoint_convert_table, &checkpoint_average_table, NULL};

static const struct {
    int least, most; /* paths */
    checkpoint_form run;
} forms[] = { /* as the tables */
    {1, 1, checkpoint_list},    {1, 1, checkpoint_show},    {1, CHECKPOINT_PATHS, checkpoint_verify},
    {2, 2, checkpoint_compare}, {2, 2, checkpoint_convert}, {1, CHECKPOINT_PATHS, checkpoint_average},
};

/* ---- what paths name ------------------------------------------------------------------------------------------------- */

const char *checkpoint_bytes(uint64_t bytes, char text[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    int unit = 0;
    for (; value >= 1024 && unit < 4; unit++)
        value /= 1024;
    snprintf(text, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

static weir_status folder_add(const char *folder, struct weir_arena *arena, const char ***folders, size_t *room, int *n)
{
    const char *copy;
    weir_status status = weir_arena_strdup(arena, folder, &copy);
    if (!status)
        status = weir_arena_grow(arena, folders, room, (size_t)*n + 1, sizeof **folders);
    if (!status)
        (*folders)[(*n)++] = copy;
    return status;
}

weir_status checkpoint_folders(const char *path, struct weir_arena *arena, const char ***folders, size_t *room, int *n)
{
    struct weir_checkpoint_entry *entries = NULL;
    int n_entries = 0;
    weir_status status = weir_checkpoint_is(path) ? WEIR_OK : weir_checkpoint_list(path, arena, &entries, &n_entries);
    if (!status && !n_entries)
        status = folder_add(path, arena, folders, room, n);
    for (int i = 0; i < n_entries && !status; i++)
        status = folder_add(entries[i].folder, arena, folders, room, n);
    return status;
}

weir_status checkpoint_open(const char *path, weir_checkpoint **checkpoint_out)
{
    struct weir_arena arena = {0};
    struct weir_checkpoint_entry *entries = NULL;
    int n = 0;
    weir_status status = weir_checkpoint_is(path) ? WEIR_OK : weir_checkpoint_list(path, &arena, &entries, &n);
    while (n > 1 && entries[n - 1].flaw)
        n--;
    if (!status)
        status = weir_checkpoint_open(n ? entries[n - 1].folder : path, checkpoint_out);
    weir_arena_release(&arena);
    return status;
}

/* ---- the command ----------------------------------------------------------------------------------------------------- */

static int form_run(int form, int argc, char **argv)
{
    struct checkpoint_options values = {.dtype = "source"};
    struct options given; /* nothing to release without --config */
    const struct option_table *table = tables[form];
    const char *paths[CHECKPOINT_PATHS];
    int n = 0, code = 0;
    enum option_outcome outcome;
    weir_status status = options_parse(&given, table, argc, argv, &values, paths, forms[form].most, &n, &outcome);
    if (!status && outcome == OPTIONS_HELP_SHOWN)
        return 0;
    if (!status && n < forms[form].least)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "%s is missing: 'weir %s --help' shows the options", table->arguments, table->command);
    if (!status)
        status = forms[form].run(&values, n, paths, &code);
    return status ? options_report(table->command, status) : code;
}

static const char about[] = "list, show, verify, compare, convert and average checkpoints";

static int run(int argc, char **argv)
{
    int code, form = form_choose("checkpoint", about, "; docs/reliability.md says what a checkpoint is", tables, argc, argv, &code);
    return form < 0 ? code : form_run(form, argc - 1, argv + 1);
}

const struct command command_checkpoint = {"checkpoint", about, tables, run, true};
