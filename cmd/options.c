#include "cmd/options.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/printable.h"
#include "base/text.h"
#include "cmd/launched.h"
#include "cmd/synonyms.h"

bool options_given(const struct options *options, const char *name)
{
    for (int i = 0; options->table->rows[i].name; i++)
        if (!strcmp(options->table->rows[i].name, name))
            return options->given[i];
    return false;
}

void options_release(struct options *options)
{
    json_decref(options->config);
    for (int i = 0; i < options->n_stored; i++)
        json_decref(options->stored[i]);
    options->config = NULL;
    options->n_stored = 0;
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

/* strtod takes more: blanks, hexadecimal, "infinity". */
static bool is_decimal(const char *text)
{
    size_t n = strspn(text, "0123456789.eE+-");
    return n && text[n] == 0;
}

/* Whole bytes; parts of a suffix are rounded down, "1.5K" is 1536. */
static bool bytes_parse(const char *text, int64_t *bytes_out)
{
    char *end;
    double value = strtod(text, &end);
    if (!strchr("0123456789.", *text) || end == text || strpbrk(text, "xX"))
        return false;
    static const char suffixes[] = "KMGT";
    const char *suffix = *end ? strchr(suffixes, *end) : NULL;
    if (suffix) {
        bool of_ten = end[1] == 'B'; /* 5GB is 5 times 10^9, as on disks; 5G and 5GiB are more */
        int power = (int)(suffix - suffixes + 1);
        value *= of_ten ? pow(1000, power) : ldexp(1, 10 * power);
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

static const char units[] = "smhd";

bool options_duration(const char *text, double *seconds_out)
{
    static const double of_unit[] = {1, 60, 3600, 86400};
    char *end;
    if (!strchr("0123456789.", *text) || strpbrk(text, "xX"))
        return false;
    double value = strtod(text, &end);
    const char *unit = end != text && *end ? strchr(units, *end) : NULL;
    if (!unit || end[1] || !(value > 0 && value < 1e9))
        return false;
    *seconds_out = value * of_unit[unit - units];
    return true;
}

static weir_status out_of_range(const struct option_row *row, const char *text)
{
    const char *what = row->kind == OPTION_INT ? "a whole number" : "a number";
    if (row->kind == OPTION_BYTES)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--%s takes bytes such as 512M or 4GiB, at least %.0f, not '%s'", row->name,
                         row->min > 1 ? row->min : 1, text);
    if (row->max > row->min)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--%s takes %s from %.15g to %.15g, not '%s'", row->name, what, row->min, row->max,
                         text);
    return WEIR_FAIL(WEIR_ERR_USAGE, "--%s takes %s, not '%s'", row->name, what, text);
}

static bool in_range(const struct option_row *row, double value)
{
    return row->max <= row->min || (value >= row->min && value <= row->max);
}

/* The word in the brackets of the row. */
static bool is_word(const struct option_row *row, const char *text)
{
    size_t n = strlen(row->argument) - 2;
    return strlen(text) == n && !strncmp(text, row->argument + 1, n);
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
    case OPTION_WORD:
        if (*text && !is_word(row, text))
            return WEIR_FAIL(WEIR_ERR_USAGE, "--%s stands alone or takes '%.*s', not '%s'", row->name,
                             (int)strlen(row->argument) - 2, row->argument + 1, text);
        memcpy(field, &text, sizeof text);
        return WEIR_OK;
    case OPTION_INT:
        if (!weir_parse_int64(text, &whole) || !in_range(row, (double)whole))
            return out_of_range(row, text);
        memcpy(field, &whole, sizeof whole);
        return WEIR_OK;
    case OPTION_REAL:
        if (!is_decimal(text) || !weir_parse_double(text, &real) || !in_range(row, real))
            return out_of_range(row, text);
        memcpy(field, &real, sizeof real);
        return WEIR_OK;
    case OPTION_BYTES:
        if (!bytes_parse(text, &whole) || !in_range(row, (double)whole))
            return out_of_range(row, text);
        memcpy(field, &whole, sizeof whole);
        return WEIR_OK;
    case OPTION_TIME:
        if (!options_duration(text, &real))
            return WEIR_FAIL(WEIR_ERR_USAGE, "--%s takes a time such as 90s, 30m or 2h, not '%s'", row->name, text);
        memcpy(field, &real, sizeof real);
        return WEIR_OK;
    case OPTION_TEXT:
        memcpy(field, &text, sizeof text);
        return WEIR_OK;
    }
    return WEIR_FAIL(WEIR_ERR_INTERNAL, "option kind %d", (int)row->kind);
}

/* ---- names --------------------------------------------------------------------------------------------------------- */

/* `word` is `name`, or would be with '-' for '_'. */
static bool is_name(const char *name, const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((word[i] == '_' ? '-' : word[i]) != name[i])
            return false;
    return !name[length];
}

/* `--pp` is what most people type. */
static const struct {
    const char *word, *name;
} aliases[] = {{"pp", "ranks"}};

static int row_find(const struct option_row *rows, const char *word, size_t length)
{
    for (size_t k = 0; k < sizeof aliases / sizeof aliases[0]; k++)
        if (is_name(aliases[k].word, word, length)) {
            word = aliases[k].name;
            length = strlen(word);
        }
    for (int i = 0; rows[i].name; i++)
        if (is_name(rows[i].name, word, length))
            return i;
    return -1;
}

static weir_status unknown_option(const struct option_table *table, const char *word, size_t length)
{
    const char *names[OPTIONS_MOST_ROWS + 2];
    int n = 0;
    for (const struct option_row *row = table->rows; row->name; row++)
        names[n++] = row->name;
    names[n++] = "help";
    names[n] = NULL;
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    const struct synonym synonym = synonym_find(table, word, length);
    if (synonym.option)
        return WEIR_FAIL(WEIR_ERR_USAGE, "unknown option '--%s': in weir it is --%s", name, synonym.option);
    if (synonym.tool)
        return WEIR_FAIL(WEIR_ERR_USAGE, "unknown option '--%s': %s", name, synonym.answer);
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

/* A number where text is wanted ("init-from": 7): its text becomes a string of the document. */
static weir_status config_keep(json_t *root, const char *key, const char **text, const char *path)
{
    json_t *kept = json_string(*text);
    if (!kept || json_object_set_new(root, key, kept))
        return WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory reading '%s'", path);
    *text = json_string_value(kept);
    return WEIR_OK;
}

static weir_status config_value_set(json_t *root, const struct option_row *row, const char *key, json_t *value,
                                    const char *path, void *values)
{
    char buffer[64];
    if (row->kind == OPTION_FLAG && !json_is_boolean(value))
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s': '%s' must be true or false", path, row->name);
    if (row->kind == OPTION_FLAG) {
        *(bool *)((char *)values + row->offset) = json_is_true(value);
        return WEIR_OK;
    }
    const char *text = row->kind == OPTION_WORD && json_is_true(value) ? "" : config_text(value, buffer);
    if (!text)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s': '%s' must be a number or a string", path, row->name);
    weir_status status = WEIR_OK;
    if (row->kind == OPTION_TEXT && text == buffer)
        status = config_keep(root, key, &text, path);
    if (!status)
        status = value_set(row, text, values);
    return status == WEIR_ERR_USAGE ? weir_error_prefix(status, "'%s': ", path) : status;
}

static weir_status config_apply(struct options *options, const char *path, void *values)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(options->config, next, key, value) {
        int i = row_find(options->table->rows, key, strlen(key));
        if (i < 0)
            return weir_error_prefix(unknown_option(options->table, key, strlen(key)), "'%s': ", path);
        if (!strcmp(options->table->rows[i].name, "config"))
            return WEIR_FAIL(WEIR_ERR_USAGE, "'%s': a configuration cannot name another one", path);
        const struct option_row *row = &options->table->rows[i];
        weir_status status = options->given[i] ? WEIR_OK : config_value_set(options->config, row, key, value, path, values);
        if (status)
            return status;
        options->given[i] = true;
    }
    return WEIR_OK;
}

/* After the command line, which wins: rows that it gave are left as they are. */
static weir_status config_read(struct options *options, void *values)
{
    int i = row_find(options->table->rows, "config", 6);
    const char *path;
    if (i < 0 || !options->given[i])
        return WEIR_OK;
    memcpy(&path, (char *)values + options->table->rows[i].offset, sizeof path);
    weir_status status = weir_json_load(path, &options->config);
    if (status == WEIR_ERR_INVALID)
        status = weir_error_prefix(status, "a configuration is a JSON object of options: ");
    if (!status && !json_is_object(options->config))
        status = WEIR_FAIL(WEIR_ERR_USAGE, "'%s' must hold one JSON object whose keys are option names", path);
    return status ? status : config_apply(options, path, values);
}

static bool is_among(const char *name, const char *const *names)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names;
}

weir_status options_fill(struct options *options, json_t *stored, const char *path, const char *const *left_out, void *values)
{
    const char *key;
    json_t *value;
    void *next;
    weir_status status = WEIR_OK;
    assert(options->n_stored < OPTIONS_MOST_STORED);
    options->stored[options->n_stored++] = stored;
    json_object_foreach_safe(stored, next, key, value) {
        int i = row_find(options->table->rows, key, strlen(key));
        if (i < 0 || options->given[i] || status || is_among(options->table->rows[i].name, left_out))
            continue;
        status = config_value_set(stored, &options->table->rows[i], key, value, path, values);
        options->given[i] = !status;
    }
    return status;
}

static json_t *value_json(const struct option_row *row, const void *values)
{
    const char *field = (const char *)values + row->offset, *text;
    int64_t whole;
    double real;
    switch (row->kind) {
    case OPTION_FLAG:
        return json_boolean(*(const bool *)field);
    case OPTION_TIME:
    case OPTION_REAL:
        memcpy(&real, field, sizeof real);
        return json_real(real);
    case OPTION_TEXT:
    case OPTION_WORD:
        memcpy(&text, field, sizeof text);
        return weir_json_utf8(text);
    case OPTION_INT:
    case OPTION_BYTES:
        break;
    }
    memcpy(&whole, field, sizeof whole);
    return json_integer(whole);
}

json_t *options_json(const struct options *options, const void *values, const char *const *left_out)
{
    json_t *root = json_object();
    for (int i = 0; root && options->table->rows[i].name; i++) {
        const struct option_row *row = &options->table->rows[i];
        if (options->given[i] && !is_among(row->name, left_out))
            weir_json_set(&root, row->name, value_json(row, values));
    }
    return root;
}

/* ---- the command line ---------------------------------------------------------------------------------------------- */

struct words {
    struct options *options;
    void *values;
    char **next, **end; /* of argv */
    const char **positional;
    int most, n; /* positional arguments */
    bool help;
    const char *topic; /* of help; NULL: none was named */
};

/* Row `i` was named; `value` is what stands behind it in the same word, or NULL. */
static weir_status row_take(struct words *words, int i, const char *name, const char *value)
{
    const struct option_row *row = &words->options->table->rows[i];
    if (row->kind == OPTION_WORD && !value)
        value = words->next < words->end && is_word(row, *words->next) ? *words->next++ : "";
    if (row->kind == OPTION_FLAG && value)
        return WEIR_FAIL(WEIR_ERR_USAGE, "option '%s' takes no value", name);
    if (row->kind != OPTION_FLAG && !value && words->next == words->end)
        return WEIR_FAIL(WEIR_ERR_USAGE, "option '%s' needs a value", name);
    if (row->kind != OPTION_FLAG && !value)
        value = *words->next++;
    if (words->options->given[i] && !strcmp(row->name, "config"))
        return WEIR_FAIL(WEIR_ERR_USAGE, "--config is given twice: join the files");
    words->options->given[i] = true;
    return value_set(row, value, words->values);
}

/* "--name", "--name=value" */
static weir_status long_take(struct words *words, const char *word)
{
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    int i = row_find(words->options->table->rows, name, length);
    if (i >= 0)
        return row_take(words, i, word, equals ? equals + 1 : NULL);
    if (!is_name("help", name, length) || (equals && !words->options->table->groups))
        return unknown_option(words->options->table, name, length);
    words->help = true;
    words->topic = equals ? equals + 1 : NULL;
    return WEIR_OK;
}

static int letter_find(const struct option_row *rows, char letter)
{
    for (int i = 0; rows[i].name; i++)
        if (rows[i].letter == letter)
            return i;
    return -1;
}

/* "-q", "-n5", "-qn 5" */
static weir_status letters_take(struct words *words, const char *word)
{
    weir_status status = WEIR_OK;
    for (const char *at = word + 1; *at && !status && !words->help; at++) {
        int i = letter_find(words->options->table->rows, *at);
        char name[3] = {'-', *at, 0};
        words->help = i < 0 && *at == 'h';
        if (i < 0 && !words->help)
            return WEIR_FAIL(WEIR_ERR_USAGE, "unknown option '%s'", name);
        if (i < 0)
            return WEIR_OK;
        if (words->options->table->rows[i].kind != OPTION_FLAG)
            return row_take(words, i, name, at[1] ? at + 1 : NULL);
        status = row_take(words, i, name, NULL);
    }
    return status;
}

static weir_status positional_take(struct words *words, const char *word)
{
    if (words->n == words->most)
        return WEIR_FAIL(WEIR_ERR_USAGE, "unexpected argument '%s'", word);
    words->positional[words->n++] = word;
    return WEIR_OK;
}

static weir_status words_take(struct words *words)
{
    weir_status status = WEIR_OK;
    bool plain = false; /* "--" was there */
    while (words->next < words->end && !status && !words->help) {
        const char *word = *words->next++;
        if (plain || *word != '-' || !word[1])
            status = positional_take(words, word);
        else if (!strcmp(word, "--"))
            plain = true;
        else
            status = word[1] == '-' ? long_take(words, word) : letters_take(words, word);
    }
    return status;
}

weir_status options_parse(struct options *options, const struct option_table *table, int argc, char **argv, void *values,
                          const char **positional_out, int max_positional, int *n_positional_out,
                          enum option_outcome *outcome_out)
{
    struct words words = {.options = options, .values = values, .next = argv + 1, .end = argv + argc,
                          .positional = positional_out, .most = max_positional};
    *options = (struct options){.table = table};
    weir_status status = words_take(&words);
    *n_positional_out = words.n;
    *outcome_out = words.help ? OPTIONS_HELP_SHOWN : OPTIONS_PARSED;
    if (status)
        return status;
    if (!words.help)
        return config_read(options, values);
    if (!words.topic && words.next < words.end && **words.next != '-')
        words.topic = *words.next;
    return options_print_help(table, table->groups ? words.topic : NULL);
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

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
    char message[WEIR_ERROR_MAX], shown[4 * WEIR_ERROR_MAX];
    weir_printable(options_error(message), shown, sizeof shown);
    if (launched_is_heard())
        launched_say(status, *shown ? shown : weir_status_str(status));
    else
        fprintf(stderr, "weir %s: %s\n", command, *shown ? shown : weir_status_str(status));
    return weir_status_exit_code(status);
}
