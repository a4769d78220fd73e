/* The manifest of a checkpoint as bytes: struct weir_checkpoint_info to and from manifest.json (checkpoint.h has the format). */
#ifndef WEIR_ENGINE_CHECKPOINT_MANIFEST_H
#define WEIR_ENGINE_CHECKPOINT_MANIFEST_H

#include "base/json.h"
#include "include/weir/checkpoint.h"

extern const char weir_manifest_name[], weir_extra_name[]; /* "manifest.json", "extra.bin" */

/* The text of a manifest, in the arena.  WEIR_ERR_INVALID: pieces of a tensor leave a gap or overlap, a text is not UTF-8 or no
 * JSON object. */
weir_status weir_manifest_print(const struct weir_checkpoint_info *info, struct weir_arena *arena, const char **text_out);

/* Read a manifest of `folder`: everything that it points to is in the arena.  WEIR_ERR_INVALID: it does not have the hash that it
 * gives.  WEIR_ERR_UNSUPPORTED: it has, and is of another version of the format, or names it and what makes no sense. */
weir_status weir_manifest_parse(const char *folder, const char *text, size_t bytes, struct weir_arena *arena,
                                struct weir_checkpoint_info *info_out);

/* What one process wrote, as text that another adds to its manifest: n_files files and n_tensors tensors. */
weir_status weir_manifest_part_print(const struct weir_checkpoint_info *part, struct weir_arena *arena, const char **text_out);

/* Add a part to `info`: its files behind those that are there, its pieces to tensors of the same kind and name.  `where` names
 * the part in messages. */
weir_status weir_manifest_part_add(const char *where, const char *text, struct weir_arena *arena,
                                   struct weir_checkpoint_info *info);

#endif
