/* Drawings of timelines: which format is meant, and writing one. */
#ifndef WEIR_CMD_DRAWING_H
#define WEIR_CMD_DRAWING_H

#include "include/weir/draw.h"

enum drawing_format { DRAWING_TEXT, DRAWING_SVG, DRAWING_HTML, DRAWING_TRACE };

/* The format called `name`; when NULL, what the end of `path` says (.txt, .svg, .html, .json), or text.  WEIR_ERR_USAGE. */
weir_status drawing_format_find(const char *name, const char *path, enum drawing_format *format_out);

/* "zbv: 4 ranks, 8 stages, 8 micro-batches, predicted"; of a file its name without folders.  `origin`: "predicted". */
weir_status drawing_title(const char *what, const struct weir_schedule *schedule, const char *origin, struct weir_arena *arena,
                          const char **title_out);

/* Write to the file `path`; NULL and "-": to stdout.  Not for traces.  Width and colour of text follow the terminal, unless
 * options->width is set. */
weir_status drawing_write(const struct weir_timeline *const *timelines, int n, enum drawing_format format,
                          const struct weir_draw_options *options, const char *path);

#endif
