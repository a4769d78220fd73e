/* The tables of models/tokens/unicode.c and nfc.c, each by rising code unless it says otherwise. */
#ifndef WEIR_MODELS_TOKENS_UNICODE_TABLES_H
#define WEIR_MODELS_TOKENS_UNICODE_TABLES_H

#include <stddef.h>
#include <stdint.h>

struct weir_code_range {
    uint32_t first, last;
};

struct weir_code_class {
    uint32_t first, last;
    unsigned char class; /* the canonical combining class, never 0 */
};

struct weir_code_parts {
    uint32_t whole, first, second; /* second 0: the character is another way to write `first` */
};

extern const struct weir_code_range weir_letters[], weir_numbers[];
extern const struct weir_code_class weir_mark_classes[];
extern const struct weir_code_parts weir_code_parts[];
extern const uint16_t weir_code_joins[];   /* rows of weir_code_parts whose parts are joined, by first and second part */
extern const uint32_t weir_join_seconds[]; /* the second parts of those */
extern const size_t weir_n_letters, weir_n_numbers, weir_n_mark_classes, weir_n_code_parts, weir_n_code_joins,
    weir_n_join_seconds;

#endif
