/* Writing the files of a checkpoint: one by every process that has something to write, then the manifest by one of them.
 *
 * The folder is there, empty.  A part is one safetensors file, written from its first byte to its last while it is hashed, under
 * no name until it is on the disk (base/replace.h).  What fsync failed for is written anew, once: pages that the kernel could
 * not write may count as clean afterwards, and syncing them again would say that all is well. */
#ifndef WEIR_ENGINE_CHECKPOINT_PART_FILE_H
#define WEIR_ENGINE_CHECKPOINT_PART_FILE_H

#include "include/weir/checkpoint.h"

/* A piece of a tensor that goes into the file. */
struct weir_part_tensor {
    const char *name; /* of the whole tensor */
    enum weir_checkpoint_kind kind;
    int n_dims;
    const int64_t *dims;          /* of the whole tensor */
    int64_t n_elements, first, n; /* of the whole; elements of this piece */
};

struct weir_part {
    const char *folder;
    int index; /* of the process: part-00003.safetensors */
    int n_tensors;
    const struct weir_part_tensor *tensors;
    /* Values of a tensor from its element `first` on: at most `most`, at least one.  They may be put into `room`, or stand
     * elsewhere until the next call. */
    weir_status (*read)(void *context, int tensor, int64_t first, int64_t most, float *room, const float **values_out,
                        int64_t *n_out);
    void *context;
};

/* Write the part; what the manifest needs to know of it is in the arena.  WEIR_ERR_IO names the file.  A failure leaves no file of
 * the final name, or a whole one. */
weir_status weir_part_write(const struct weir_part *part, struct weir_arena *arena, struct weir_checkpoint_info *info_out);

/* The program's own bytes, in extra.bin; adds them to `info` as its last file. */
weir_status weir_part_extra_write(const char *folder, const void *data, size_t bytes, struct weir_arena *arena,
                                  struct weir_checkpoint_info *info);

/* The manifest: from here on there is a checkpoint. */
weir_status weir_part_manifest_write(const struct weir_checkpoint_info *info, struct weir_arena *arena);

/* Make DIR/step-N, and `dir` where it is not there, and have both on the disk.  A torn or damaged checkpoint in its place goes.
 * WEIR_ERR_INVALID: a whole one is there.  WEIR_ERR_IO: what is there cannot be read, and stays. */
weir_status weir_part_folder_make(const char *dir, int64_t step, struct weir_arena *arena, const char **folder_out);

/* Make a folder, where it is not there, and have its name on the disk.  WEIR_ERR_IO. */
weir_status weir_checkpoint_dir_make(const char *path, struct weir_arena *arena, bool *made_out);

/* The names of DIR that a checkpoint may have, by step: `step` and `folder` are set, nothing is opened.  WEIR_ERR_IO. */
weir_status weir_checkpoint_names(const char *dir, struct weir_arena *arena, struct weir_checkpoint_entry **entries_out,
                                  int *n_out);

/* Once the checkpoint of step `written` is durable: remove torn and damaged ones (what cannot be read stays), and of the whole ones, that one included, all
 * but the newest `keep` (0: none) and, with `keep_best`, but the one of the smallest validation loss. */
weir_status weir_checkpoint_prune(const char *dir, int64_t written, int keep, bool keep_best);

#endif
