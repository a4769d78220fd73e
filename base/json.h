/* JSON through jansson: strict loading with errors that name file and line, and typed look-ups.
 *
 * Duplicate keys are refused.  Numbers are written with 17 significant digits, so that they read back to the same
 * double.  jansson's own allocations are its own. */
#ifndef WEIR_BASE_JSON_H
#define WEIR_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/text.h"

/* Load a document; the caller owns the reference.  WEIR_ERR_IO (cannot read), WEIR_ERR_INVALID (file:line: reason). */
weir_status weir_json_load(const char *path, json_t **root_out);

/* The same of a file that has integers beyond 64 bits, as those of transformers do: every number is a real. */
weir_status weir_json_load_wide(const char *path, json_t **root_out);

/* Parse text; `name` stands for the file in messages.  WEIR_ERR_INVALID, WEIR_ERR_NOMEM. */
weir_status weir_json_parse(const char *text, size_t bytes, const char *name, json_t **root_out);

/* json_loadb, but never less than the text: jansson drops a byte that it has no memory for, without a word.  NULL with
 * *lacked_out then; NULL without it says why in `error`, which may be NULL.  The caller owns the reference.
 *
 * For this Weir stands between jansson and its allocator, whichever that is. */
json_t *weir_json_decode(const char *text, size_t bytes, size_t flags, json_error_t *error, bool *lacked_out);

/* Build a document, in steps that need no look at each:
 *
 *     json_t *root = json_object(), *list = json_array();
 *     weir_json_push(&list, json_integer(3));
 *     weir_json_set(&root, "list", list);
 *     status = weir_json_print(root, 0, arena, &text);        WEIR_ERR_NOMEM when a step had no memory
 *
 * Both take the reference to `value`.  When that is NULL or cannot be added, what it should have been part of is given back and
 * becomes NULL; so nothing is ever missing from a document. */
void weir_json_set(json_t **object, const char *key, json_t *value);
void weir_json_push(json_t **array, json_t *value);

/* `object` with the members of `more` behind its own; takes both references.  NULL when one is NULL or memory is out. */
json_t *weir_json_joined(json_t *object, json_t *more);

/* A document as text in the arena: members in the order in which they were set, over lines when `indent` > 0.  Takes the
 * reference to `root`, which may be NULL (jansson's out of memory).  WEIR_ERR_NOMEM. */
weir_status weir_json_print(json_t *root, int indent, struct weir_arena *arena, const char **text_out);

/* Member `key` of `object` as a number or an integer.  WEIR_ERR_INVALID names `where`, key and what was found. */
weir_status weir_json_number(const json_t *object, const char *where, const char *key, double *value_out);
weir_status weir_json_integer(const json_t *object, const char *where, const char *key, int64_t *value_out);

/* Every key of `object` is one of `known` (NULL-terminated).  For formats that are Weir's own: a misspelt key would be a
 * default otherwise.  WEIR_ERR_INVALID: it is no object, or names `where`, the key, and the nearest known one or
 * all of them. */
weir_status weir_json_keys(const json_t *object, const char *where, const char *const *known);

/* Append the document in one line.  Reals have at most `digits` significant digits and are written as %g does (3, 0.25,
 * 1e-05); integers and strings are jansson's.  `root` NULL, which is what building gives when memory is short, sets
 * text->status.  Takes the reference. */
void weir_json_append(struct weir_text *text, json_t *root, int digits);

/* A string of whatever bytes: those that are not UTF-8 become '?'. */
json_t *weir_json_utf8(const char *string);

/* An array of numbers; one that is not finite is null. */
json_t *weir_json_reals(const double *values, size_t n);

#endif
