/* The text of --help and the OPTIONS section of a man page. */
#include "cmd/options.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { NARROWEST = 12, COLUMNS = 104, GROUPS_MOST = 16 };

static const char all[] = "all", help_name[] = "-h, --help", topic_name[] = "-h, --help [GROUP]";

static void row_head(const struct option_row *row, char head[64])
{
    char letter[8] = "    ";
    if (row->letter)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(head, 64, "%s--%s%s%s", letter, row->name, row->argument ? " " : "", row->argument ? row->argument : "");
}

static const struct option_row *row_named(const struct option_table *table, const char *name)
{
    const struct option_row *row = table->rows;
    while (row->name && strcmp(row->name, name) != 0)
        row++;
    return row;
}

/* Where group `g` begins; of the one after the last: where the table ends. */
static const struct option_row *group_start(const struct option_table *table, const struct option_group *g)
{
    return row_named(table, g && g->name ? g->first : "");
}

static int width_of(const struct option_row *row, const struct option_row *end, int width)
{
    char head[64];
    for (; row < end; row++) {
        row_head(row, head);
        width = (int)strlen(head) > width ? (int)strlen(head) : width;
    }
    return width;
}

static void rows_print(const struct option_row *row, const struct option_row *end, int width)
{
    char head[64];
    for (; row < end; row++) {
        row_head(row, head);
        printf("  %-*s  %s\n", width, head, row->help);
    }
}

/* "  data         --val-data --val-every ...", in lines of COLUMNS. */
static void group_names_print(const struct option_table *table, const struct option_group *g)
{
    const struct option_row *row = group_start(table, g), *end = group_start(table, g + 1);
    int at = printf("  %-*s", NARROWEST, g->name);
    for (; row < end; row++) {
        if (at + 3 + (int)strlen(row->name) > COLUMNS)
            at = printf("\n  %-*s", NARROWEST, "") - 1;
        at += printf(" --%s", row->name);
    }
    printf("\n");
}

static void head_print(const struct option_table *table)
{
    printf("weir %s: %s\n\n", table->command, table->summary);
    printf("usage: weir %s%s%s [options]\n", table->command, *table->arguments ? " " : "", table->arguments);
    if (table->example)
        printf("  e.g. %s\n", table->example);
    printf("\n");
}

/* What most runs need with its words, and the names of the rest. */
static void short_print(const struct option_table *table)
{
    const struct option_row *end = group_start(table, table->groups);
    int width = width_of(table->rows, end, (int)strlen(table->groups ? topic_name : help_name));
    head_print(table);
    rows_print(table->rows, end, width);
    printf("  %-*s  %s\n", width, table->groups ? topic_name : help_name,
           table->groups ? "this text, or what a group's options do; all: every option" : "this text");
    for (const struct option_group *g = table->groups; g && g->name; g++) {
        if (g == table->groups)
            printf("\ngroups of more options:\n");
        group_names_print(table, g);
    }
}

static void all_print(const struct option_table *table)
{
    const struct option_row *end = group_start(table, NULL);
    int width = width_of(table->rows, end, NARROWEST);
    head_print(table);
    rows_print(table->rows, group_start(table, table->groups), width);
    for (const struct option_group *g = table->groups; g->name; g++) {
        printf("\n%s: %s\n", g->name, g->summary);
        rows_print(group_start(table, g), group_start(table, g + 1), width);
    }
}

static void group_print(const struct option_table *table, const struct option_group *g)
{
    const struct option_row *row = group_start(table, g), *end = group_start(table, g + 1);
    printf("weir %s, %s: %s\n\n", table->command, g->name, g->summary);
    rows_print(row, end, width_of(row, end, NARROWEST));
}

weir_status options_print_help(const struct option_table *table, const char *topic)
{
    const char *names[GROUPS_MOST + 2] = {0};
    int n = 0;
    if (!topic) {
        short_print(table);
        return WEIR_OK;
    }
    if (!strcmp(topic, all)) {
        all_print(table);
        return WEIR_OK;
    }
    for (const struct option_group *g = table->groups; g->name && n < GROUPS_MOST; g++) {
        if (!strcmp(topic, g->name)) {
            group_print(table, g);
            return WEIR_OK;
        }
        names[n++] = g->name;
    }
    names[n] = all;
    return weir_unknown("group of options", topic, names);
}

static void man_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '-')
            fputs("\\-", stdout);
        else if (*text == '\\')
            fputs("\\e", stdout);
        else
            putchar(*text);
    }
}

void options_print_man(const struct option_table *table)
{
    printf(".SS weir ");
    man_text(table->command);
    printf("\n");
    man_text(table->summary);
    printf(".\n");
    if (table->example) {
        printf(".PP\nExample: \\fB");
        man_text(table->example);
        printf("\\fR\n");
    }
    for (const struct option_row *row = table->rows; row->name; row++) {
        printf(".TP\n");
        if (row->letter)
            printf("\\fB\\-%c\\fR, ", row->letter);
        printf("\\fB\\-\\-");
        man_text(row->name);
        printf("\\fR");
        if (row->argument)
            printf(" \\fI%s\\fR", row->argument);
        printf("\n");
        man_text(row->help);
        printf("\n");
    }
}
