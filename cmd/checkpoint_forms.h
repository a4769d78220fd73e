/* The forms of `weir checkpoint`, and how they name and find checkpoints. */
#ifndef WEIR_CMD_CHECKPOINT_FORMS_H
#define WEIR_CMD_CHECKPOINT_FORMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "cmd/options.h"
#include "include/weir/checkpoint.h"

enum { CHECKPOINT_PATHS = 256 }; /* most on one command line */

/* Options of all forms; each table has some of them. */
struct checkpoint_options {
    const char *out, *dtype, *like;
    int64_t shard_size; /* bytes; 0: the library's */
    bool json, tensors, force;
};

/* One command line: paths in `paths`.  `outcome_out`: the exit status when the form itself met nothing that failed. */
typedef weir_status (*checkpoint_form)(const struct checkpoint_options *o, int n_paths, const char *const *paths,
                                       int *outcome_out);

extern const struct option_table checkpoint_list_table, checkpoint_show_table, checkpoint_verify_table, checkpoint_compare_table,
    checkpoint_average_table, checkpoint_convert_table;

weir_status checkpoint_list(const struct checkpoint_options *o, int n_paths, const char *const *paths, int *outcome_out);
weir_status checkpoint_show(const struct checkpoint_options *o, int n_paths, const char *const *paths, int *outcome_out);
weir_status checkpoint_verify(const struct checkpoint_options *o, int n_paths, const char *const *paths, int *outcome_out);
weir_status checkpoint_compare(const struct checkpoint_options *o, int n_paths, const char *const *paths, int *outcome_out);
weir_status checkpoint_average(const struct checkpoint_options *o, int n_paths, const char *const *paths, int *outcome_out);
weir_status checkpoint_convert(const struct checkpoint_options *o, int n_paths, const char *const *paths, int *outcome_out);

/* The checkpoint in folder `path`, or the newest one of a folder of checkpoints.  What is in it is not verified. */
weir_status checkpoint_open(const char *path, weir_checkpoint **checkpoint_out);

/* The folders of the checkpoint in `path`, or of all of a folder of checkpoints, whatever they are like, added to `folders`. */
weir_status checkpoint_folders(const char *path, struct weir_arena *arena, const char ***folders, size_t *room, int *n);

/* "14.1 MiB"; returns `text`. */
const char *checkpoint_bytes(uint64_t bytes, char text[32]);

#endif
