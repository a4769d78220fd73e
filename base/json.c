#include "base/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"

enum { LARGEST_DOCUMENT = 1 << 30 };

static bool is_blank(const char *text, size_t bytes)
{
    size_t i = 0;
    while (i < bytes && strchr(" \t\r\n", text[i]) && text[i])
        i++;
    return i == bytes;
}

/* ---- decoding ------------------------------------------------------------------------------------------------------ */

/* jansson's reader goes on when it has no room for a byte of a token, and may then write past its memory.  So a failed
 * allocation does not return to it: weir_json_decode is left at once, and what jansson had until then is given back.
 *
 * While a thread decodes, nothing is freed, so that each block is in `blocks` once. */
struct blocks {
    void **all;
    size_t n, capacity;
};

struct decoding {
    jmp_buf lacking;
    struct blocks blocks, freed;
};

static json_malloc_t allocate = malloc;
static json_free_t release = free;
static _Thread_local struct decoding *decoding;

static bool block_add(struct blocks *blocks, void *block)
{
    if (weir_grow(&blocks->all, &blocks->capacity, blocks->n + 1, sizeof *blocks->all))
        return false;
    blocks->all[blocks->n++] = block;
    return true;
}

static void *watched_allocate(size_t bytes)
{
    void *block = allocate(bytes);
    if (!decoding || (block && block_add(&decoding->blocks, block)))
        return block;
    release(block);
    longjmp(decoding->lacking, 1);
}

static void watched_release(void *block)
{
    if (!decoding)
        release(block);
    else if (block && !block_add(&decoding->freed, block))
        longjmp(decoding->lacking, 1);
}

/* Whoever gave jansson an allocator keeps it.  Once before threads start, and again where somebody gave it one later. */
__attribute__((constructor)) static void watch(void)
{
    json_malloc_t now;
    json_free_t now_release;
    json_get_alloc_funcs(&now, &now_release);
    if (now == watched_allocate)
        return;
    allocate = now;
    release = now_release;
    json_set_alloc_funcs(watched_allocate, watched_release);
}

static void blocks_release(struct blocks *blocks)
{
    for (size_t i = 0; i < blocks->n; i++)
        release(blocks->all[i]);
    weir_free(blocks->all);
}

json_t *weir_json_decode(const char *text, size_t bytes, size_t flags, json_error_t *error, bool *lacked_out)
{
    struct decoding here = {.blocks = {0}};
    json_t *volatile root = NULL;
    watch();
    decoding = &here;
    *lacked_out = setjmp(here.lacking) != 0;
    if (!*lacked_out)
        root = json_loadb(text, bytes, flags, error);
    decoding = NULL;
    if (*lacked_out)
        here.freed.n = 0; /* they are among the blocks */
    else
        here.blocks.n = 0;
    blocks_release(&here.blocks);
    blocks_release(&here.freed);
    return root;
}

static weir_status parse(const char *text, size_t bytes, size_t flags, const char *name, json_t **root_out)
{
    json_error_t error;
    bool no_room;
    if (is_blank(text, bytes))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is empty: it needs a JSON document", name);
    json_t *root = weir_json_decode(text, bytes, JSON_REJECT_DUPLICATES | flags, &error, &no_room);
    if (no_room)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "no memory to read '%s'", name);
    if (!root)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' line %d: %s", name, error.line, error.text);
    *root_out = root;
    return WEIR_OK;
}

weir_status weir_json_parse(const char *text, size_t bytes, const char *name, json_t **root_out)
{
    return parse(text, bytes, 0, name, root_out);
}

static weir_status load(const char *path, size_t flags, json_t **root_out)
{
    char *data;
    size_t bytes;
    weir_status status = weir_file_read(path, LARGEST_DOCUMENT, &data, &bytes);
    if (status)
        return status;
    status = parse(data, bytes, flags, path, root_out);
    weir_free(data);
    return status;
}

weir_status weir_json_load(const char *path, json_t **root_out)
{
    return load(path, 0, root_out);
}

weir_status weir_json_load_wide(const char *path, json_t **root_out)
{
    return load(path, JSON_DECODE_INT_AS_REAL, root_out);
}

static int dump_append(const char *bytes, size_t n, void *text)
{
    weir_text_append(text, "%.*s", (int)n, bytes);
    return ((struct weir_text *)text)->status ? -1 : 0;
}

/* jansson passes over a key that could not be appended: whether all was is for `text` to say. */
weir_status weir_json_print(json_t *root, int indent, struct weir_arena *arena, const char **text_out)
{
    size_t form = indent ? JSON_INDENT((size_t)indent) : JSON_COMPACT;
    struct weir_text text = {0};
    int failed = root ? json_dump_callback(root, dump_append, &text, form | JSON_REAL_PRECISION(17)) : -1;
    json_decref(root);
    weir_status status = text.status;
    if (!status && failed)
        status = WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory for a JSON document");
    if (!status)
        status = weir_arena_strdup(arena, text.data, text_out);
    weir_text_release(&text);
    return status;
}

/* `failed`: of adding to *whole, NULL or not. */
static void fail_whole(json_t **whole, int failed)
{
    if (!failed)
        return;
    json_decref(*whole);
    *whole = NULL;
}

void weir_json_set(json_t **object, const char *key, json_t *value)
{
    fail_whole(object, json_object_set_new(*object, key, value));
}

void weir_json_push(json_t **array, json_t *value)
{
    fail_whole(array, json_array_append_new(*array, value));
}

json_t *weir_json_joined(json_t *object, json_t *more)
{
    bool whole = object && more && json_object_update(object, more) == 0;
    json_decref(more);
    if (whole)
        return object;
    json_decref(object);
    return NULL;
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {"an object", "an array", "a string", "an integer",
                                        "a real",    "true",     "false",    "null"};
    return value ? names[json_typeof(value)] : "missing";
}

weir_status weir_json_number(const json_t *object, const char *where, const char *key, double *value_out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is %s, a number is needed", where, key, type_name(value));
    *value_out = json_number_value(value);
    return WEIR_OK;
}

weir_status weir_json_integer(const json_t *object, const char *where, const char *key, int64_t *value_out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is %s, an integer is needed", where, key, type_name(value));
    *value_out = json_integer_value(value);
    return WEIR_OK;
}

static bool is_one_of(const char *word, const char *const *names)
{
    while (*names && strcmp(*names, word) != 0)
        names++;
    return *names != NULL;
}

static weir_status key_unknown(const char *where, const char *key, const char *const *known)
{
    const char *near = weir_suggest(key, known);
    if (near)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: unknown key '%.64s': did you mean '%s'?", where, key, near);
    struct weir_text all = {0};
    for (int i = 0; known[i]; i++)
        weir_text_append(&all, "%s%s", i ? ", " : "", known[i]);
    weir_status status = all.status;
    if (!status)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: unknown key '%.64s': it is one of %s", where, key,
                           all.data ? all.data : "none");
    weir_text_release(&all);
    return status;
}

weir_status weir_json_keys(const json_t *object, const char *where, const char *const *known)
{
    json_t *iterated = (json_t *)(uintptr_t)object; /* jansson's iterators take no const */
    if (!json_is_object(object))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s must be an object, not %s", where, type_name(object));
    for (void *at = json_object_iter(iterated); at; at = json_object_iter_next(iterated, at))
        if (!is_one_of(json_object_iter_key(at), known))
            return key_unknown(where, json_object_iter_key(at), known);
    return WEIR_OK;
}

/* ---- printing ---------------------------------------------------------------------------------------------------- */

static void value_append(struct weir_text *text, json_t *value, int digits);

static void object_append(struct weir_text *text, json_t *object, int digits)
{
    const char *key, *comma = "";
    json_t *value;
    weir_text_append(text, "{");
    json_object_foreach(object, key, value)
    {
        weir_text_append(text, "%s", comma);
        weir_json_append(text, weir_json_utf8(key), digits);
        weir_text_append(text, ": ");
        value_append(text, value, digits);
        comma = ", ";
    }
    weir_text_append(text, "}");
}

static void array_append(struct weir_text *text, const json_t *array, int digits)
{
    weir_text_append(text, "[");
    for (size_t i = 0; i < json_array_size(array); i++) {
        weir_text_append(text, i ? ", " : "");
        value_append(text, json_array_get(array, i), digits);
    }
    weir_text_append(text, "]");
}

/* jansson writes 3.0 and 1e-5 where %g writes 3 and 1e-05, so only the structure and the reals are written here. */
static void value_append(struct weir_text *text, json_t *value, int digits)
{
    if (json_is_object(value))
        object_append(text, value, digits);
    else if (json_is_array(value))
        array_append(text, value, digits);
    else if (json_is_real(value))
        weir_text_append(text, "%.*g", digits, json_real_value(value));
    else if (json_dump_callback(value, dump_append, text, JSON_ENCODE_ANY) && !text->status)
        text->status = WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for a JSON document");
}

void weir_json_append(struct weir_text *text, json_t *root, int digits)
{
    if (root)
        value_append(text, root, digits);
    else if (!text->status)
        text->status = WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for a JSON document");
    json_decref(root);
}

json_t *weir_json_utf8(const char *string)
{
    json_t *value = json_string(string); /* NULL: no UTF-8, or no memory */
    size_t n = strlen(string);
    char *copy;
    if (value || weir_alloc(n + 1, 1, &copy))
        return value;
    memcpy(copy, string, n + 1);
    for (size_t i = 0; i < n; i++)
        if (copy[i] & 0x80)
            copy[i] = '?';
    value = json_string(copy);
    weir_free(copy);
    return value;
}

json_t *weir_json_reals(const double *values, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < n; i++)
        if (json_array_append_new(array, isfinite(values[i]) ? json_real(values[i]) : json_null())) {
            json_decref(array);
            return NULL;
        }
    return array;
}
