/* The folder that an export writes into: which files of it, whose they are, and whether they can be replaced.
 *
 *     e/model.safetensors                  metadata "writer": "weir" says whose the folder is
 *     e/model-00001-of-00002.safetensors   or these, which model.safetensors.index.json names
 *     e/config.json */
#ifndef WEIR_ENGINE_CHECKPOINT_EXPORT_FOLDER_H
#define WEIR_ENGINE_CHECKPOINT_EXPORT_FOLDER_H

#include <stdbool.h>

#include "base/status.h"
#include "include/weir/checkpoint.h"

struct weir_export_plan;

#ifdef __cplusplus
extern "C" {
#endif

extern const char weir_export_single[], weir_export_index[], weir_export_config[]; /* names of files */
extern const char weir_export_mark_key[], weir_export_mark[];                      /* metadata of the weights */

/* Everything but the folder itself that would keep an export from being written: a file that cannot be replaced, no room on
 * the disk, a limit on the size of files or on how many are open.  WEIR_ERR_IO names it. */
weir_status weir_export_place_check(const char *dir, const struct weir_export_plan *plan);

/* Remove weights of an earlier export that are none of the plan's: shards, an index, the single file.  WEIR_ERR_IO. */
weir_status weir_export_remove_others(const char *dir, const struct weir_export_plan *plan);

#ifdef __cplusplus
}
#endif

#endif
