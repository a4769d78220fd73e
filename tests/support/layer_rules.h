/* The rules of tests/layers.txt and a check of one file against them. */
#ifndef WEIR_TESTS_LAYER_RULES_H
#define WEIR_TESTS_LAYER_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/support/include_scan.h"

enum { LAYER_WORDS = 56, LAYER_ROWS = 64 };

struct layer_row {
    int line; /* in layers.txt */
    bool header;
    const char *name;                   /* layers only */
    const char *left[LAYER_WORDS + 1];  /* files of a layer; names of headers */
    const char *right[LAYER_WORDS + 1]; /* what a layer may include; files that may include a header */
};

struct layer_rules {
    struct layer_row rows[LAYER_ROWS];
    int n_rows;
    const char *public_headers[LAYER_ROWS]; /* NULL-terminated */
};

/* Cut `rules_text` and `public_text` (both changed and kept) into rules.  NULL, or what is wrong with which line. */
const char *layer_rules_read(char *rules_text, char *public_text, struct layer_rules *rules_out);

/* Says whether a path of the tree exists; the check asks it how an include resolves. */
typedef bool (*layer_exists_fn)(const char *path, void *context);

/* Receives "file:line: what: which rule". */
typedef void (*layer_report_fn)(const char *violation, void *context);

/* The file of the tree that `include` in `path` means: beside that file, else from the root.  false: none. */
bool layer_target(const char *path, const struct include_directive *include, layer_exists_fn exists, void *context,
                  char target[512]);

/* Check the includes of `path` (relative to the root of the tree), whose content is `text`. */
void layer_check(const struct layer_rules *rules, const char *path, const char *text, layer_exists_fn exists,
                 layer_report_fn report, void *context);

#endif
