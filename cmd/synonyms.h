/* Words of other tools: what an option or a name is called here.
 *
 *     weir train --clip-grad 1         unknown option '--clip-grad': in weir it is --grad-clip
 *     weir train --tp-size 2           unknown option '--tp-size': weir has no tensor parallelism
 *     weir train --schedule Schedule1F1B --optimizer AdamW --dtype bfloat16       understood
 *
 * docs/other-tools.md is the table for readers; a test holds the two together. */
#ifndef WEIR_CMD_SYNONYMS_H
#define WEIR_CMD_SYNONYMS_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/options.h"

struct synonym {
    const char *tool;   /* "Megatron-LM"; NULL ends a table */
    const char *word;   /* without dashes in front, lower case, '-' between words */
    const char *option; /* that means the same; NULL: `answer` says what to do */
    const char *answer; /* of the command `command`, or why there is no such option */
};

extern const struct synonym synonyms_train[], synonyms_generate[], synonyms_tokenize[], synonyms_launch[]; /* options of these commands */

/* The row for an unknown option of a command: `word` may have capitals, '_' and sections.  Of "training.max_norm" the last word
 * counts, of "fp16.enabled" the section, as nothing is called "enabled".  A word that is an option here ("training.steps") is a
 * row too.  tool NULL: none, or its option is not in the command's table. */
struct synonym synonym_find(const struct option_table *table, const char *word, size_t length);

struct name_synonym {
    const char *word, *name;
};

extern const struct name_synonym schedule_synonyms[], dtype_synonyms[], optimizer_synonyms[], rate_synonyms[]; /* word NULL ends them */

/* The name among `names` (NULL-terminated) that `word` means in any letter case, '_' being '-', or by a synonym (NULL: there
 * are none); else `word`. */
const char *name_understood(const char *word, const char *const *names, const struct name_synonym *synonyms);

/* The same for schedules; a file stays one. */
const char *schedule_understood(const char *word);

#endif
