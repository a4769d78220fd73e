/* What the stages of a schedule hand to each other: of a model with branches, or as a list. */
#ifndef WEIR_CMD_SCHEDULE_BOUNDARIES_H
#define WEIR_CMD_SCHEDULE_BOUNDARIES_H

#include "base/text.h"
#include "include/weir/graph.h"
#include "include/weir/schedule.h"

struct schedule_boundary_options {
    const char *model, *list; /* NULL: every stage to the next */
};

/* Rows for a table whose struct `type` has struct schedule_boundary_options handed. */
#define SCHEDULE_BOUNDARY_ROWS(type)                                                                                   \
    {"model", 0, OPTION_TEXT, offsetof(type, handed.model), "MODEL",                                                   \
     "a model cut into the schedule's stages: what these hand to each other (default: each to the next)", 0, 0},       \
    {"boundaries", 0, OPTION_TEXT, offsetof(type, handed.list), "LIST",                                                \
     "the same as a list: 0-1,1-2,0-2; neighbours stands for each to the next, as in neighbours,0-2", 0, 0}

/* Give them to the schedule.  WEIR_ERR_USAGE: a list that cannot be read, or both.  WEIR_ERR_INVALID: boundaries that do not fit. */
weir_status schedule_boundaries_take(const struct schedule_boundary_options *options, struct weir_arena *arena,
                                     struct weir_schedule *schedule);

/* Append "0-1 1-2 0-2". */
void schedule_boundaries_print(const struct weir_schedule *schedule, struct weir_text *text);

/* A model by name, folder or config.json.  One of images is that for MNIST: 784 pixels, 10 classes. */
weir_status schedule_model_build(const char *model, int64_t microbatch_size, int64_t seq_len, struct weir_arena *arena,
                                 const struct weir_graph **graph_out);

#endif
