/* The folder that an export writes into: which files of it, whose they are, and whether they can be replaced.
 *
 *     e/model.safetensors    metadata "writer": "weir" says whose the folder is
 *     e/config.json
 *
 * Other files of the folder stay as they are. */
#ifndef WEIR_ENGINE_CHECKPOINT_EXPORT_FOLDER_H
#define WEIR_ENGINE_CHECKPOINT_EXPORT_FOLDER_H

#include <stdint.h>

#include "base/status.h"

enum weir_export_owner {
    WEIR_EXPORT_NOBODY, /* there is no folder, or nothing in it that an export writes */
    WEIR_EXPORT_WEIR,   /* the weights are Weir's */
    WEIR_EXPORT_OTHERS, /* files that an export replaces are there, and Weir did not write the weights */
};

#ifdef __cplusplus
extern "C" {
#endif

extern const char *const weir_export_files[]; /* NULL-terminated: names of the files, the weights first */
extern const char weir_export_mark_key[], weir_export_mark[]; /* metadata of the weights */

enum weir_export_owner weir_export_owner(const char *dir);

/* Everything but the folder itself that would keep an export of `weight_bytes` from being written: a file that cannot be
 * replaced, no room on the disk, a limit on the size of files.  WEIR_ERR_IO names it. */
weir_status weir_export_place_check(const char *dir, uint64_t weight_bytes);

#ifdef __cplusplus
}
#endif

#endif
