/* The safetensors files of one model: a single file, or shards with an index.
 *
 *     PATH is a folder    its model.safetensors, else its model.safetensors.index.json
 *     PATH ends in .json  an index: {"metadata": ..., "weight_map": {"tensor": "model-00001-of-00002.safetensors", ...}}
 *     else                one safetensors file
 *
 * Shards lie beside their index; a name that leads elsewhere is refused.  Every tensor of the index must be in its shard,
 * and every tensor of a shard in the index. */
#ifndef WEIR_BASE_TENSOR_FILES_H
#define WEIR_BASE_TENSOR_FILES_H

#include "base/safetensors.h"

struct weir_tensor_files {
    const char *path; /* of the file or index: names the whole in messages */
    int n_files;
    struct weir_safetensors *files;
    struct weir_arena arena;
};

/* WEIR_ERR_IO: a file is missing or cannot be read.  WEIR_ERR_INVALID: a file or the index breaks a rule. */
weir_status weir_tensor_files_open(const char *path, struct weir_tensor_files *files_out);
void weir_tensor_files_close(struct weir_tensor_files *files); /* all zero bits are fine */

/* The tensor called `name` and the file that has it; false when there is none. */
bool weir_tensor_files_find(const struct weir_tensor_files *files, const char *name,
                            const struct weir_safetensors **file_out, const struct weir_safetensors_tensor **tensor_out);

#endif
