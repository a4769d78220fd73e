/* Exports: a model as a folder that transformers and Weir open.
 *
 *     struct weir_export export = {.dir = "tuned/", .like = {"gpt2/"}};
 *     weir_export_check(graph, &export);           before training: would it work?
 *     weir_engine_export(engine, &export);         engine/weir.h
 *
 *     tuned/model.safetensors                      or, beyond `shard_bytes`, model-00001-of-00003.safetensors, ... and
 *     tuned/model.safetensors.index.json           where each tensor is
 *     tuned/tokenizer.json, ...                    copied from the folders that it is like
 *     tuned/config.json                            the model's, with what those folders say beside the maths
 *
 * Values are rounded to the nearest, ties to even.  A model that has values beyond the dtype's largest is written as F32, with a
 * warning.
 *
 * A folder that holds an export keeps it until the new one is whole on the disk.  Then files are replaced one by one, in an order
 * in which a folder that is read, or left, in between opens as one of the two or is refused: where it takes more than one rename,
 * config.json goes first and comes last.  Shards and index of the old export go.  Other files stay as they are. */
#ifndef WEIR_ENGINE_CHECKPOINT_EXPORT_H
#define WEIR_ENGINE_CHECKPOINT_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct weir_graph;

enum weir_export_dtype {
    WEIR_EXPORT_SOURCE, /* that of the weights of the last of `like` that has some, else what its config.json says; else F32 */
    WEIR_EXPORT_F32,
    WEIR_EXPORT_BF16,
    WEIR_EXPORT_F16,
};

enum { WEIR_EXPORT_LIKE = 2 };

struct weir_export {
    const char *dir;
    const char *like[WEIR_EXPORT_LIKE]; /* folders, or files of one, of the models that training began with; the last has the last
                                           word.  NULL: none */
    const char *tokenizer; /* a folder, or a file of one, whose tokenizer files are taken instead of theirs; "": none are; NULL: theirs */
    enum weir_export_dtype dtype;
    uint64_t shard_bytes; /* most bytes of tensors in one file, unless one tensor has more; 0: 5 GB, as transformers has it */
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* The value of "source", "f32", "bf16" or "f16".  WEIR_ERR_USAGE lists them. */
weir_status weir_export_dtype_find(const char *name, enum weir_export_dtype *dtype_out);

/* What weir_engine_export can refuse, found out before training: can the folder be made and written to, the files in it be
 * replaced, those it is like be read, and is there room for all of them?  *made_out: the folder was not there and is now, so that
 * the caller removes it when nothing comes of the export; a failure leaves none.  For the process that writes.
 * WEIR_ERR_UNSUPPORTED: the model has no Hugging Face form.  WEIR_ERR_IO, WEIR_ERR_INVALID. */
weir_status weir_export_check(const struct weir_graph *graph, const struct weir_export *what, bool *made_out);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
