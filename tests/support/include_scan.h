/* What a C file includes: a scanner that sees what the preprocessor sees.
 *
 * Comments and strings are skipped, lines that end in a backslash are joined, blanks may stand anywhere, `%:` is `#`, and
 * #include_next and #import count.  Conditions do not: an include below #if 0 is an include.  An include that names a
 * macro cannot be followed and is reported with an empty path. */
#ifndef WEIR_TESTS_INCLUDE_SCAN_H
#define WEIR_TESTS_INCLUDE_SCAN_H

#include <stdbool.h>

struct include_directive {
    int line;       /* of the directive's first character, from 1 */
    bool angled;    /* <path> */
    char path[256]; /* "" when it is not spelled out */
};

/* Called for each include, in order. */
typedef void (*include_fn)(const struct include_directive *include, void *context);

void include_scan(const char *text, include_fn found, void *context);

#endif
