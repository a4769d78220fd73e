#include "tests/support/layer_rules.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static bool matches(const char *const *patterns, const char *path)
{
    for (; *patterns; patterns++)
        if (fnmatch(*patterns, path, 0) == 0)
            return true;
    return false;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

/* One row from its words: a kind, left words, a sign, right words. */
static const char *row_read(char *line, struct layer_row *row)
{
    char *rest = NULL;
    char *word = strtok_r(line, " \t", &rest);
    row->header = !strcmp(word, "header");
    if (!row->header && strcmp(word, "layer") != 0)
        return "a row starts with 'layer' or 'header'";
    if (!row->header) {
        row->name = strtok_r(NULL, " \t", &rest);
        word = strtok_r(NULL, " \t", &rest);
        if (!word || strcmp(word, "=") != 0)
            return "a layer row is: layer NAME = FILES -> WHAT";
    }
    const char **to = row->left;
    int n = 0;
    bool sign = false;
    while ((word = strtok_r(NULL, " \t", &rest))) {
        if (!strcmp(word, row->header ? "=" : "->")) {
            to = row->right;
            n = 0;
            sign = true;
        } else if (n == LAYER_WORDS) {
            return "too many words";
        } else {
            to[n++] = word;
        }
    }
    return sign ? NULL : "a row needs '->' (layer) or '=' (header)";
}

static const struct layer_row *layer_named(const struct layer_rules *rules, const char *name)
{
    for (int i = 0; i < rules->n_rows; i++)
        if (!rules->rows[i].header && !strcmp(rules->rows[i].name, name))
            return &rules->rows[i];
    return NULL;
}

/* Words on the right of a layer are layers above it in the file, `public`, or patterns of files. */
static const char *row_check(const struct layer_rules *rules, const struct layer_row *row)
{
    static char message[200];
    if (row->header)
        return NULL;
    for (const char *const *word = row->right; *word; word++) {
        const struct layer_row *layer = layer_named(rules, *word);
        bool pattern = strpbrk(*word, "*.") || !strcmp(*word, "public");
        if (pattern || (layer && layer < row))
            continue;
        snprintf(message, sizeof message, "line %d: '%s' is not a layer below '%s'", row->line, *word, row->name);
        return message;
    }
    return NULL;
}

static void public_read(char *text, struct layer_rules *rules)
{
    int n = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (*line != '#' && n + 1 < LAYER_ROWS)
            rules->public_headers[n++] = line;
    rules->public_headers[n] = NULL;
}

/* The end of a row that begins at `line`; the lines that go on with it, which start with blanks, are joined to it. */
static char *row_end(char *line, int *n_lines_out)
{
    char *end = strchr(line, '\n');
    *n_lines_out = 1;
    while (end && (end[1] == ' ' || end[1] == '\t') && *line != '#') {
        *end = ' ';
        end = strchr(end, '\n');
        ++*n_lines_out;
    }
    return end;
}

const char *layer_rules_read(char *rules_text, char *public_text, struct layer_rules *rules_out)
{
    static char message[200];
    struct layer_rules *rules = rules_out;
    *rules = (struct layer_rules){0};
    int line_number = 1, n_lines;
    for (char *line = rules_text, *end; line; line = end, line_number += n_lines) {
        end = row_end(line, &n_lines);
        if (end)
            *end++ = 0;
        if (*line == '#' || line[strspn(line, " \t")] == 0)
            continue;
        if (rules->n_rows == LAYER_ROWS)
            return "too many rows";
        struct layer_row *row = &rules->rows[rules->n_rows++];
        row->line = line_number;
        const char *reason = row_read(line, row);
        if (reason) {
            snprintf(message, sizeof message, "line %d: %s", line_number, reason);
            return message;
        }
        if ((reason = row_check(rules, row)))
            return reason;
    }
    public_read(public_text, rules);
    return NULL;
}

/* ---- checking ------------------------------------------------------------------------------------------------------ */

struct check {
    const struct layer_rules *rules;
    const struct layer_row *layer; /* of the file */
    const char *path;
    layer_exists_fn exists;
    layer_report_fn report;
    void *context;
};

static const struct layer_row *layer_of(const struct layer_rules *rules, const char *path)
{
    for (int i = 0; i < rules->n_rows; i++)
        if (!rules->rows[i].header && matches(rules->rows[i].left, path))
            return &rules->rows[i];
    return NULL;
}

/* Join folder and name, and take out "." and ".."; false when it leaves the tree. */
static bool path_join(const char *folder, int folder_length, const char *name, char path[512])
{
    char joined[512], *rest = NULL;
    snprintf(joined, sizeof joined, "%.*s/%s", folder_length, folder, name);
    size_t n = 0;
    path[0] = 0;
    for (char *part = strtok_r(joined, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
        if (!strcmp(part, "."))
            continue;
        if (!strcmp(part, "..")) {
            char *slash = strrchr(path, '/');
            if (!n)
                return false;
            n = slash ? (size_t)(slash - path) : 0;
            path[n] = 0;
            continue;
        }
        n += (size_t)snprintf(path + n, 512 - n, "%s%s", n ? "/" : "", part);
    }
    return true;
}

bool layer_target(const char *path, const struct include_directive *include, layer_exists_fn exists, void *context,
                  char target[512])
{
    const char *slash = strrchr(path, '/');
    int folder_length = slash ? (int)(slash - path) : 0;
    if (!include->angled && path_join(path, folder_length, include->path, target) && exists(target, context))
        return true;
    return path_join("", 0, include->path, target) && exists(target, context);
}

static bool layer_allows(const struct check *check, const char *target)
{
    const struct layer_row *other = layer_of(check->rules, target);
    if (other == check->layer)
        return true;
    for (const char *const *word = check->layer->right; *word; word++) {
        const struct layer_row *named = layer_named(check->rules, *word);
        if (named ? named == other : fnmatch(*word, target, 0) == 0)
            return true;
        if (!strcmp(*word, "public") && matches(check->rules->public_headers, target))
            return true;
    }
    return false;
}

static const struct layer_row *header_row(const struct layer_rules *rules, const char *name)
{
    for (int i = 0; i < rules->n_rows; i++)
        if (rules->rows[i].header && matches(rules->rows[i].left, name))
            return &rules->rows[i];
    return NULL;
}

static void include_check(const struct include_directive *include, void *context)
{
    const struct check *check = context;
    char target[512], text[1400];
    const struct layer_row *row = NULL;
    if (!include->path[0]) {
        snprintf(text, sizeof text, "%s:%d: the include names a macro: spell the file out", check->path, include->line);
    } else if (layer_target(check->path, include, check->exists, check->context, target)) {
        if (layer_allows(check, target))
            return;
        snprintf(text, sizeof text, "%s:%d: includes '%s': tests/layers.txt line %d does not let layer '%s' do that",
                 check->path, include->line, target, check->layer->line, check->layer->name);
    } else if (!(row = header_row(check->rules, include->path))) {
        snprintf(text, sizeof text, "%s:%d: includes '%s': tests/layers.txt has no 'header' row for it", check->path,
                 include->line, include->path);
    } else {
        if (matches(row->right, check->path))
            return;
        snprintf(text, sizeof text, "%s:%d: includes '%s': tests/layers.txt line %d keeps it to other files",
                 check->path, include->line, include->path, row->line);
    }
    check->report(text, check->context);
}

void layer_check(const struct layer_rules *rules, const char *path, const char *text, layer_exists_fn exists,
                 layer_report_fn report, void *context)
{
    struct check check = {rules, layer_of(rules, path), path, exists, report, context};
    if (!check.layer) {
        char message[700];
        snprintf(message, sizeof message, "%s:1: tests/layers.txt has no layer for this file", path);
        report(message, context);
        return;
    }
    include_scan(text, include_check, &check);
}
