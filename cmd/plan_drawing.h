/* Drawings of `weir plan`: Graphviz text as it is, or drawn by Graphviz's program `dot` where the name ends in .svg. */
#ifndef WEIR_CMD_PLAN_DRAWING_H
#define WEIR_CMD_PLAN_DRAWING_H

#include "base/text.h"

/* WEIR_ERR_USAGE: a name that promises another format. */
weir_status plan_drawing_check(const char *path);

/* Write the Graphviz text to `path`.  WEIR_ERR_IO: the file cannot be written, or `dot` is missing or fails; then no file
 * is left. */
weir_status plan_drawing_write(const char *path, const struct weir_text *text);

#endif
