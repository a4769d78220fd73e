/* What the stages of a schedule hand to each other: of a model with branches, or as a list. */
#ifndef WEIR_CMD_SCHEDULE_BOUNDARIES_H
#define WEIR_CMD_SCHEDULE_BOUNDARIES_H

#include "base/json.h"
#include "base/text.h"
#include "cmd/paths.h"
#include "include/weir/graph.h"
#include "include/weir/schedule.h"

struct schedule_boundary_options {
    const char *model, *list, *first_layers, *plan; /* NULL: every stage to the next */
};

/* Rows for a table whose struct `type` has struct schedule_boundary_options handed. */
#define SCHEDULE_BOUNDARY_ROWS(type)                                                                                   \
    {"model", 0, OPTION_TEXT, offsetof(type, handed.model), "MODEL",                                                   \
     "a model cut into the schedule's stages: what these hand to each other (default: each to the next)", 0, 0},       \
    {"boundaries", 0, OPTION_TEXT, offsetof(type, handed.list), "LIST",                                                \
     "the same as a list: 0-1,1-2,0-2; neighbours stands for each to the next, as in neighbours,0-2", 0, 0},           \
    {"first-layers", 0, OPTION_TEXT, offsetof(type, handed.first_layers), "LIST",                                      \
     "--model: first layer of each stage (default: as weir train cuts it)", 0, 0},                                     \
    {"plan", 0, OPTION_TEXT, offsetof(type, handed.plan), "FILE", "model and cut of weir plan -o, in place of --model", 0, 0}

/* Name what is read among the paths of a command. */
void schedule_boundaries_paths(const struct schedule_boundary_options *options, struct paths *paths);

/* Give them to the schedule.  WEIR_ERR_USAGE: a list that cannot be read, or several of model, list and plan.  WEIR_ERR_INVALID:
 * boundaries, or a cut, that do not fit the schedule. */
weir_status schedule_boundaries_take(const struct schedule_boundary_options *options, struct weir_arena *arena,
                                     struct weir_schedule *schedule);

/* Append "0-1 1-2 0-2". */
void schedule_boundaries_print(const struct weir_schedule *schedule, struct weir_text *text);

/* [[0, 1], [1, 2], [0, 2]]: all of them, neighbours that were not given too. */
json_t *schedule_boundaries_json(const struct weir_schedule *schedule);

/* A model by name, folder or config.json.  One of images is that for MNIST: 784 pixels, 10 classes. */
weir_status schedule_model_build(const char *model, int64_t microbatch_size, int64_t seq_len, struct weir_arena *arena,
                                 const struct weir_graph **graph_out);

#endif
