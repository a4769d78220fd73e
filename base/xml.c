#include "base/xml.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *at, *name;
    int line;
    struct weir_arena *arena;
};

static weir_status fail(const struct reader *r, const char *what)
{
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s', line %d: %s", r->name, r->line, what);
}

static void step(struct reader *r, size_t n)
{
    for (; n > 0 && *r->at; n--)
        r->line += *r->at++ == '\n';
}

static void blanks_skip(struct reader *r)
{
    while (isspace((unsigned char)*r->at))
        step(r, 1);
}

static bool begins(const struct reader *r, const char *word)
{
    return !strncmp(r->at, word, strlen(word));
}

static weir_status skip_past(struct reader *r, const char *end, const char *what)
{
    const char *found = strstr(r->at, end);
    if (!found)
        return fail(r, what);
    step(r, (size_t)(found - r->at) + strlen(end));
    return WEIR_OK;
}

/* White space, and comments; before the first element the declaration and the document type too. */
static weir_status between_skip(struct reader *r, bool is_prolog)
{
    weir_status status = WEIR_OK;
    while (!status) {
        blanks_skip(r);
        if (begins(r, "<!--"))
            status = skip_past(r, "-->", "a comment has no end");
        else if (is_prolog && begins(r, "<?xml"))
            status = skip_past(r, "?>", "the declaration has no end");
        else if (is_prolog && begins(r, "<!DOCTYPE"))
            status = strcspn(r->at, "[") < strcspn(r->at, ">") ? fail(r, "a document type with definitions")
                                                              : skip_past(r, ">", "the document type has no end");
        else
            return WEIR_OK;
    }
    return status;
}

/* ---- words and values ------------------------------------------------------------------------------------------------- */

static size_t word_length(const char *at)
{
    size_t n = 0;
    if (!isalpha((unsigned char)*at) && *at != '_')
        return 0;
    while (isalnum((unsigned char)at[n]) || (at[n] && strchr("_-.:", at[n])))
        n++;
    return n;
}

static weir_status word_copy(struct reader *r, const char **word_out)
{
    size_t n = word_length(r->at);
    char *word;
    weir_status status = n ? weir_arena_alloc(r->arena, n + 1, 1, &word) : fail(r, "a name is missing");
    if (status)
        return status;
    memcpy(word, r->at, n);
    step(r, n);
    *word_out = word;
    return WEIR_OK;
}

/* What stands for one character.  Returns the bytes that were read, 0: it is none. */
static size_t entity_read(const char *at, char *out)
{
    static const struct {
        const char *text;
        char character;
    } named[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        if (!strncmp(at, named[i].text, strlen(named[i].text))) {
            *out = named[i].character;
            return strlen(named[i].text);
        }
    char *end;
    bool hex = at[2] == 'x';
    long number = at[1] == '#' && isxdigit((unsigned char)at[2 + hex]) ? strtol(at + 2 + hex, &end, hex ? 16 : 10) : 0;
    if (number < 1 || number > 127 || *end != ';')
        return 0;
    *out = (char)number;
    return (size_t)(end + 1 - at);
}

static weir_status value_copy(struct reader *r, const char **value_out)
{
    char quote = *r->at, *value;
    const char *end = quote == '"' || quote == '\'' ? strchr(r->at + 1, quote) : NULL;
    size_t n = 0;
    if (!end)
        return fail(r, "a value has no quotes around it");
    weir_status status = weir_arena_alloc(r->arena, (size_t)(end - r->at), 1, &value);
    step(r, 1);
    while (!status && r->at < end) {
        size_t read = 1;
        value[n] = *r->at;
        if (*r->at == '&')
            read = entity_read(r->at, &value[n]);
        if (!read || *r->at == '<')
            status = fail(r, "a value with a '&' or a '<' that stands for nothing known");
        step(r, read);
        n++;
    }
    step(r, 1);
    if (!status)
        *value_out = value;
    return status;
}

/* ---- elements --------------------------------------------------------------------------------------------------------- */

static weir_status attribute_read(struct reader *r, struct weir_xml_element *element)
{
    struct weir_xml_attribute *attribute, **last = &element->attributes;
    weir_status status = weir_arena_alloc(r->arena, 1, sizeof *attribute, &attribute);
    if (!status)
        status = word_copy(r, &attribute->name);
    if (status)
        return status;
    blanks_skip(r);
    if (*r->at != '=')
        return fail(r, "an attribute has no value");
    step(r, 1);
    blanks_skip(r);
    if (weir_xml_value(element, attribute->name))
        return fail(r, "an attribute stands there twice");
    while (*last)
        last = &(*last)->next;
    *last = attribute;
    return value_copy(r, &attribute->value);
}

/* From behind '<' up to and with '>'. */
static weir_status tag_read(struct reader *r, struct weir_xml_element *element, bool *is_open_out)
{
    element->line = r->line;
    weir_status status = word_copy(r, &element->name);
    while (!status) {
        bool blank = isspace((unsigned char)*r->at);
        blanks_skip(r);
        bool closes = begins(r, "/>");
        if (closes || *r->at == '>') {
            *is_open_out = !closes;
            step(r, closes ? 2 : 1);
            return WEIR_OK;
        }
        status = blank ? attribute_read(r, element) : fail(r, "an element has no end");
    }
    return status;
}

static weir_status end_read(struct reader *r, const char *name)
{
    size_t n = strlen(name);
    step(r, 2);
    if (word_length(r->at) != n || strncmp(r->at, name, n) != 0)
        return fail(r, "an end tag of another element");
    step(r, n);
    blanks_skip(r);
    if (*r->at != '>')
        return fail(r, "an end tag has no end");
    step(r, 1);
    return WEIR_OK;
}

/* Up to the next tag. */
static weir_status text_read(struct reader *r, struct weir_xml_element *element)
{
    size_t n = strcspn(r->at, "<");
    char *text;
    if (element->child || element->text)
        return fail(r, "text beside elements");
    weir_status status = weir_arena_alloc(r->arena, n + 1, 1, &text);
    if (status)
        return status;
    memcpy(text, r->at, n);
    step(r, n);
    element->text = text;
    return WEIR_OK;
}

/* Where the elements that are open end: those that follow hang there. */
struct open {
    struct weir_xml_element *element[WEIR_XML_MOST_DEPTH], **last[WEIR_XML_MOST_DEPTH];
    int depth;
};

static weir_status start_read(struct reader *r, struct open *open)
{
    struct weir_xml_element *element;
    bool is_open = false;
    step(r, 1);
    weir_status status = weir_arena_alloc(r->arena, 1, sizeof *element, &element);
    if (!status)
        status = tag_read(r, element, &is_open);
    if (!status && is_open && open->depth + 1 == WEIR_XML_MOST_DEPTH)
        status = fail(r, "too many elements inside each other");
    if (!status && open->depth > 0 && open->element[open->depth - 1]->text)
        status = fail(r, "text beside elements");
    if (status)
        return status;
    *open->last[open->depth] = element;
    open->last[open->depth] = &element->next;
    if (is_open) {
        open->element[open->depth++] = element;
        open->last[open->depth] = &element->child;
    }
    return WEIR_OK;
}

static weir_status element_read(struct reader *r, struct weir_xml_element **element_out)
{
    struct open open = {.last = {element_out}};
    weir_status status = *r->at == '<' ? WEIR_OK : fail(r, "text where an element is expected");
    while (!status) {
        if (!*r->at)
            status = fail(r, "an element has no end");
        else if (*r->at != '<')
            status = text_read(r, open.element[open.depth - 1]);
        else if (begins(r, "</") && open.depth > 0)
            status = end_read(r, open.element[--open.depth]->name);
        else
            status = start_read(r, &open);
        if (!status)
            status = between_skip(r, false);
        if (!open.depth)
            break;
    }
    return status;
}

weir_status weir_xml_parse(const char *text, const char *name, struct weir_arena *arena, struct weir_xml_element **root_out)
{
    struct reader r = {text, name, 1, arena};
    struct weir_xml_element *root = NULL;
    weir_status status = between_skip(&r, true);
    if (!status)
        status = element_read(&r, &root);
    if (!status && *r.at)
        status = fail(&r, "something stands behind the first element");
    if (!status)
        *root_out = root;
    return status;
}

const char *weir_xml_value(const struct weir_xml_element *element, const char *name)
{
    for (const struct weir_xml_attribute *a = element->attributes; a; a = a->next)
        if (!strcmp(a->name, name))
            return a->value;
    return NULL;
}

weir_status weir_xml_root_name(const char *text, struct weir_arena *arena, const char **name_out)
{
    struct reader r = {text, "", 1, arena};
    weir_status status = between_skip(&r, true);
    if (status == WEIR_ERR_INVALID || (!status && (*r.at != '<' || !word_length(r.at + 1)))) {
        weir_error_clear();
        *name_out = "";
        return WEIR_OK;
    }
    if (status)
        return status;
    step(&r, 1);
    return word_copy(&r, name_out);
}
