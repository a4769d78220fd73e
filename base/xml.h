/* XML: elements and attributes of small files that machines write, as a tree.
 *
 * What such files have is read: a declaration, a document type without definitions, comments, elements, attributes, elements
 * that hold text alone, in attributes the five named entities and numbered ones below 128.  What they do not have is refused
 * with its line: text beside elements, CDATA, processing instructions, other entities.  Nothing is loaded or expanded.
 *
 *     <system version="1">                     element "system", attribute version
 *       <cpu numaid="0"> ... </cpu>            its first child
 *     </system>
 *
 *     struct weir_xml_element *root;
 *     status = weir_xml_parse(text, "topo.xml", &arena, &root);
 *     const char *numa = weir_xml_value(root->child, "numaid");      NULL: it has none
 */
#ifndef WEIR_BASE_XML_H
#define WEIR_BASE_XML_H

#include "base/arena.h"

enum { WEIR_XML_MOST_DEPTH = 64 };

struct weir_xml_attribute {
    const char *name, *value;
    struct weir_xml_attribute *next;
};

struct weir_xml_element {
    const char *name;
    int line;
    struct weir_xml_attribute *attributes;
    struct weir_xml_element *child, *next; /* the first one; the one behind */
    const char *text;                      /* as it stands there, entities too; NULL: none */
};

/* `text` ends with a zero byte; `name` is what messages call it.  The tree lives in `arena`.  WEIR_ERR_INVALID: not well-formed,
 * not what is read, or deeper than WEIR_XML_MOST_DEPTH.  WEIR_ERR_NOMEM. */
weir_status weir_xml_parse(const char *text, const char *name, struct weir_arena *arena, struct weir_xml_element **root_out);

/* The attribute's value, or NULL. */
const char *weir_xml_value(const struct weir_xml_element *element, const char *name);

/* The name of the first element, whatever follows it, as a copy in `arena`; "" where there is none. */
weir_status weir_xml_root_name(const char *text, struct weir_arena *arena, const char **name_out);

#endif
