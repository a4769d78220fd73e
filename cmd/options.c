#include "cmd/options.h"

#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

enum { MOST_ROWS = 96 };

static bool given[MOST_ROWS];
static const struct option_row *given_rows;

bool options_given(const char *name)
{
    for (int i = 0; given_rows && given_rows[i].name; i++)
        if (!strcmp(given_rows[i].name, name))
            return given[i];
    return false;
}

/* Whole bytes; parts of a suffix are rounded down, "1.5K" is 1536. */
static bool bytes_parse(const char *text, int64_t *bytes_out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || !isfinite(value) || value < 0)
        return false;
    static const char suffixes[] = "KMGT";
    const char *suffix = *end ? strchr(suffixes, *end) : NULL;
    if (suffix) {
        value *= ldexp(1, 10 * (int)(suffix - suffixes + 1));
        end++;
        if (*end == 'i')
            end++;
    }
    if (*end == 'B')
        end++;
    if (*end || !(value >= 1 && value < 0x1p62) || (!suffix && value != floor(value)))
        return false;
    *bytes_out = (int64_t)value;
    return true;
}

static weir_status out_of_range(const struct option_row *row, const char *text)
{
    bool whole = row->kind == OPTION_INT;
    if (row->max > row->min)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--%s takes %s from %.15g to %.15g, not '%s'", row->name,
                         whole ? "a whole number" : "a number", row->min, row->max, text);
    return WEIR_FAIL(WEIR_ERR_USAGE, "--%s takes %s, not '%s'", row->name,
                     whole                       ? "a whole number"
                     : row->kind == OPTION_BYTES ? "a number of bytes, at least 1, such as 512M or 4GiB"
                                                 : "a number",
                     text);
}

static bool in_range(const struct option_row *row, double value)
{
    return row->max <= row->min || (value >= row->min && value <= row->max);
}

static weir_status value_set(const struct option_row *row, const char *text, void *values)
{
    char *field = (char *)values + row->offset;
    int64_t whole;
    double real;
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)field = true;
        return WEIR_OK;
    case OPTION_INT:
        if (!weir_parse_int64(text, &whole) || !in_range(row, (double)whole))
            return out_of_range(row, text);
        memcpy(field, &whole, sizeof whole);
        return WEIR_OK;
    case OPTION_REAL:
        if (!weir_parse_double(text, &real) || !in_range(row, real))
            return out_of_range(row, text);
        memcpy(field, &real, sizeof real);
        return WEIR_OK;
    case OPTION_BYTES:
        if (!bytes_parse(text, &whole))
            return out_of_range(row, text);
        memcpy(field, &whole, sizeof whole);
        return WEIR_OK;
    case OPTION_TEXT:
        memcpy(field, &text, sizeof text);
        return WEIR_OK;
    }
    return WEIR_FAIL(WEIR_ERR_INTERNAL, "option kind %d", (int)row->kind);
}

static int row_find(const struct option_row *rows, const char *name, size_t length)
{
    for (int i = 0; rows[i].name; i++)
        if (strlen(rows[i].name) == length && !strncmp(rows[i].name, name, length))
            return i;
    return -1;
}

static weir_status unknown_option(const struct option_table *table, const char *word, size_t length)
{
    const char *names[MOST_ROWS + 2];
    int n = 0;
    for (const struct option_row *row = table->rows; row->name; row++)
        names[n++] = row->name;
    names[n++] = "help";
    names[n] = NULL;
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    const char *near = weir_suggest(name, names);
    if (near)
        return WEIR_FAIL(WEIR_ERR_USAGE, "unknown option '--%s': did you mean '--%s'?", name, near);
    return WEIR_FAIL(WEIR_ERR_USAGE, "unknown option '--%s': 'weir %s --help' lists the options", name, table->command);
}

/* A value of the configuration as the text that the command line would carry; NULL when its type cannot be one. */
static const char *config_text(const json_t *value, char buffer[64])
{
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        snprintf(buffer, 64, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(buffer, 64, "%.17g", json_real_value(value));
    else
        return NULL;
    return buffer;
}

static weir_status config_apply(const struct option_table *table, const char *path, void *values)
{
    static json_t *root; /* kept: text values point into it */
    weir_status status = weir_json_load(path, &root);
    if (status)
        return status;
    if (!json_is_object(root))
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' must hold one JSON object whose keys are option names", path);
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value) {
        int i = row_find(table->rows, key, strlen(key));
        if (i < 0) {
            status = unknown_option(table, key, strlen(key));
            return weir_error_prefix(status, "'%s': ", path);
        }
        const struct option_row *row = &table->rows[i];
        char buffer[64];
        if (!strcmp(key, "config"))
            return WEIR_FAIL(WEIR_ERR_USAGE, "'%s': a configuration cannot name another one", path);
        if (given[i])
            continue;
        if (row->kind == OPTION_FLAG) {
            if (!json_is_boolean(value))
                return WEIR_FAIL(WEIR_ERR_USAGE, "'%s': '%s' must be true or false", path, key);
            *(bool *)((char *)values + row->offset) = json_is_true(value);
        } else {
            const char *text = config_text(value, buffer);
            if (!text)
                return WEIR_FAIL(WEIR_ERR_USAGE, "'%s': '%s' must be a number or a string", path, key);
            if (row->kind == OPTION_TEXT && text == buffer) {
                /* a number where text is wanted ("--seed-file": 7): keep its text as a string of the document */
                json_t *kept = json_string(buffer);
                if (!kept || json_object_set_new(root, key, kept))
                    return WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory reading '%s'", path);
                text = json_string_value(kept);
            }
            status = value_set(row, text, values);
            if (status)
                return weir_error_prefix(status, "'%s': ", path);
        }
        given[i] = true;
    }
    return WEIR_OK;
}

/* After the command line, which wins: rows that it gave are left as they are. */
static weir_status config_read(const struct option_table *table, void *values)
{
    int i = row_find(table->rows, "config", 6);
    const char *path;
    if (i < 0 || !given[i])
        return WEIR_OK;
    memcpy(&path, (char *)values + table->rows[i].offset, sizeof path);
    return config_apply(table, path, values);
}

/* getopt accepts abbreviations; Weir does not, so that a later option cannot change what a script means. */
static weir_status names_check(const struct option_table *table, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--"))
            break;
        if (strncmp(argv[i], "--", 2))
            continue;
        const char *name = argv[i] + 2;
        size_t length = strcspn(name, "=");
        int k = row_find(table->rows, name, length);
        if (k < 0 && !(length == 4 && !strncmp(name, "help", 4)))
            return unknown_option(table, name, length);
        if (k >= 0 && table->rows[k].kind != OPTION_FLAG && !name[length])
            i++; /* the next word is its value */
    }
    return WEIR_OK;
}

weir_status options_parse(const struct option_table *table, int argc, char **argv, void *values,
                          const char **positional_out, int max_positional, int *n_positional_out,
                          enum option_outcome *outcome_out)
{
    struct option longs[MOST_ROWS + 2];
    char shorts[2 * MOST_ROWS + 8] = "-:h";
    int n = 0;
    for (const struct option_row *row = table->rows; row->name; row++, n++) {
        longs[n] = (struct option){row->name, row->kind == OPTION_FLAG ? no_argument : required_argument, NULL, 256 + n};
        if (row->letter) {
            char text[3] = {row->letter, row->kind == OPTION_FLAG ? 0 : ':', 0};
            strcat(shorts, text);
        }
    }
    longs[n] = (struct option){"help", no_argument, NULL, 'h'};
    longs[n + 1] = (struct option){0};
    memset(given, 0, sizeof given);
    given_rows = table->rows;
    *n_positional_out = 0;
    *outcome_out = OPTIONS_PARSED;

    weir_status status = names_check(table, argc, argv);
    if (status)
        return status;
    optind = 0; /* glibc: start afresh */
    int code;
    while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (code == 'h') {
            options_print_help(table);
            *outcome_out = OPTIONS_HELP_SHOWN;
            return WEIR_OK;
        }
        if (code == 1) { /* a positional argument, because shorts begins with '-' */
            if (*n_positional_out >= max_positional)
                return WEIR_FAIL(WEIR_ERR_USAGE, "unexpected argument '%s'", optarg);
            positional_out[(*n_positional_out)++] = optarg;
            continue;
        }
        if (code == ':')
            return WEIR_FAIL(WEIR_ERR_USAGE, "option '%s' needs a value", argv[optind - 1]);
        if (code == '?')
            return optopt > 0 && optopt < 256 ? WEIR_FAIL(WEIR_ERR_USAGE, "unknown option '-%c'", optopt)
                                              : WEIR_FAIL(WEIR_ERR_USAGE, "option '%s' takes no value", argv[optind - 1]);
        int i = code - 256;
        for (int k = 0; code < 256 && k < n; k++)
            if (table->rows[k].letter == code)
                i = k;
        if (given[i] && !strcmp(table->rows[i].name, "config"))
            return WEIR_FAIL(WEIR_ERR_USAGE, "--config is given twice: join the files");
        given[i] = true;
        status = value_set(&table->rows[i], optarg, values);
        if (status)
            return status;
    }
    for (; optind < argc; optind++) { /* what follows "--" */
        if (*n_positional_out >= max_positional)
            return WEIR_FAIL(WEIR_ERR_USAGE, "unexpected argument '%s'", argv[optind]);
        positional_out[(*n_positional_out)++] = argv[optind];
    }
    return config_read(table, values);
}

static void row_head(const struct option_row *row, char head[64])
{
    char letter[8] = "    ";
    if (row->letter)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(head, 64, "%s--%s%s%s", letter, row->name, row->argument ? " " : "", row->argument ? row->argument : "");
}

void options_print_help(const struct option_table *table)
{
    printf("weir %s: %s\n\n", table->command, table->summary);
    printf("usage: weir %s%s%s [options]\n", table->command, *table->arguments ? " " : "", table->arguments);
    if (table->example)
        printf("  e.g. %s\n", table->example);
    printf("\n");
    int width = 12;
    char head[64];
    for (const struct option_row *row = table->rows; row->name; row++) {
        row_head(row, head);
        if ((int)strlen(head) > width)
            width = (int)strlen(head);
    }
    for (const struct option_row *row = table->rows; row->name; row++) {
        row_head(row, head);
        printf("  %-*s  %s\n", width, head, row->help);
    }
    printf("  %-*s  %s\n", width, "-h, --help", "this text");
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

/* "microbatch_size=2" of the library is "--microbatch-size 2" here. */
static void flag_word(void *context, const char *name, const char *value, char *out, size_t room)
{
    (void)context;
    snprintf(out, room, "--%s%s%s", name, *value ? " " : "", value);
    for (char *at = out; *at && *at != ' '; at++)
        if (*at == '_')
            *at = '-';
}

const char *options_error(char text_out[WEIR_ERROR_MAX])
{
    weir_error_word(flag_word, NULL, text_out);
    return text_out;
}

int options_report(const char *command, weir_status status)
{
    if (!status)
        return 0;
    char message[WEIR_ERROR_MAX];
    fprintf(stderr, "weir %s: %s\n", command, *options_error(message) ? message : weir_status_str(status));
    return weir_status_exit_code(status);
}
