/* Checkpoints: folders that hold the state of a training run, whole or not at all.
 *
 *     D/step-000120/part-00000.safetensors    what process 0 wrote: parameters, optimizer state
 *     D/step-000120/part-00001.safetensors    what process 1 wrote
 *     D/step-000120/extra.bin                 bytes of the program that embeds Weir, if it gave any
 *     D/step-000120/manifest.json             written last: without it there is no checkpoint
 *
 * Tensors.  A checkpoint holds named tensors of float32, whatever layout wrote them: parameters under their Hugging Face names,
 * and what the optimizer keeps for each (AdamW: exp_avg and exp_avg_sq) under the same names.  ZeRO-1 spreads a moment over
 * replicas, so a tensor is a list of pieces, ranges of its elements in row-major order, without gap or overlap; most have one.
 * A piece is a tensor of a safetensors file:
 *
 *     wte.weight                      a parameter, whole
 *     exp_avg/wte.weight              a moment, whole
 *     exp_avg/wte.weight/65536        a piece of one, from element 65536 on, as one dimension
 *
 * Manifest.  JSON; its first member is the XXH3 (64 bit) of the whole file with zeros for its digits.  It has size and XXH3 of
 * every file, the XXH3 of every piece, and the state of the run (struct weir_checkpoint_info).
 *
 *     {"xxh3": "b25a8c9e31f7d046", "weir_checkpoint": 1, "weir": "0.1.0", "step": 120, ...,
 *      "files": [{"name": "part-00000.safetensors", "bytes": 1704448, "xxh3": "..."}, ...],
 *      "tensors": [{"name": "wte.weight", "kind": "parameter", "shape": [256, 64],
 *                   "pieces": [{"first": 0, "n": 16384, "file": 0, "tensor": "wte.weight", "xxh3": "..."}]}, ...]}
 *
 * Durable.  Files are written under names of no checkpoint, synced, renamed, and their folder synced; the manifest comes when
 * all of them are there.  Which checkpoint is the newest is found by looking: no file points to it.
 *
 *     weir_checkpoint *c;
 *     status = weir_checkpoint_newest("D", said, NULL, &c);          verified; damaged ones are passed over and said
 *     const struct weir_checkpoint_info *info = weir_checkpoint_info(c);
 *     int t = weir_checkpoint_find(c, WEIR_CHECKPOINT_EXP_AVG, "wte.weight");
 *     status = weir_checkpoint_read(c, t, 0, info->tensors[t].n_elements, values);      pieces joined
 *     weir_checkpoint_close(c);
 *
 * An engine's state goes in and out with weir_engine_save() and weir_engine_load() (weir.h).
 *
 * Threads: an open checkpoint is used by one thread at a time. */
#ifndef WEIR_CHECKPOINT_H
#define WEIR_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common.h"

enum weir_checkpoint_kind {
    WEIR_CHECKPOINT_PARAMETER,
    WEIR_CHECKPOINT_EXP_AVG,    /* AdamW: decayed mean of gradients */
    WEIR_CHECKPOINT_EXP_AVG_SQ, /* AdamW: decayed mean of their squares */
    WEIR_CHECKPOINT_KINDS
};

struct weir_checkpoint_file {
    const char *name; /* within the folder */
    uint64_t bytes, hash;
};

struct weir_checkpoint_piece {
    int64_t first, n;   /* elements of the tensor */
    int file;           /* index in files */
    const char *tensor; /* its name in that file */
    uint64_t hash;      /* of its bytes */
};

struct weir_checkpoint_tensor {
    const char *name;
    enum weir_checkpoint_kind kind;
    int n_dims;
    const int64_t *dims; /* [n_dims] */
    int64_t n_elements;
    int n_pieces;
    const struct weir_checkpoint_piece *pieces; /* by `first` */
};

struct weir_checkpoint_info {
    const char *folder;    /* the checkpoint's own, "D/step-000120" */
    const char *version;   /* of the library that wrote it */
    int64_t step;          /* steps done; random numbers and learning rate follow from it and the seed */
    int64_t sample;        /* where the data go on: samples read so far */
    double seconds;        /* trained so far */
    double val_loss;       /* of a validation of these parameters; NaN: none */
    bool has_seed;         /* false: made of weights alone */
    uint64_t seed;
    const char *model;     /* "gpt2-tiny" */
    const char *optimizer; /* "adamw", "sgd"; "none": made of weights alone, moments begin at zero */
    const char *hf_config; /* text of the model's config.json; NULL: it has no Hugging Face form */
    const char *layout;    /* a JSON object: stages, replicas, ... of the run that wrote it; NULL: none */
    const char *config;    /* a JSON object of the program that wrote it; NULL: none.  weir train: its options */
    int extra;             /* the file with the program's own bytes; -1: none */
    int n_files, n_tensors;
    const struct weir_checkpoint_file *files;
    const struct weir_checkpoint_tensor *tensors; /* by kind, then by name */
};

typedef struct weir_checkpoint weir_checkpoint;

/* Exports: a model as a folder that transformers and Weir open.
 *
 *     struct weir_export tuned = {.dir = "tuned/", .like = {"gpt2/"}};
 *     weir_export_check(graph, &tuned, &made);     before training: would it work?
 *     weir_engine_export(engine, &tuned);          weir.h
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

/* Whose model is in a folder: an export marks its weights. */
enum weir_export_owner {
    WEIR_EXPORT_NOBODY, /* there is no folder, or no model in it */
    WEIR_EXPORT_WEIR,   /* the weights are Weir's */
    WEIR_EXPORT_OTHERS, /* files that an export replaces are there, and Weir did not write the weights */
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* "parameter", "exp_avg", "exp_avg_sq"; "?" for what is no kind. */
const char *weir_checkpoint_kind_str(enum weir_checkpoint_kind kind);

/* ---- reading ------------------------------------------------------------------------------------------------------- */

/* Read the manifest of the checkpoint in `folder`, and look whether its files have the size that they should have.
 * WEIR_ERR_INVALID: it was not written to its end or is damaged; file and reason are named.  WEIR_ERR_UNSUPPORTED: its manifest
 * is undamaged, and of another version of the format or of another program.  WEIR_ERR_IO: a file is there and cannot be read. */
weir_status weir_checkpoint_open(const char *folder, weir_checkpoint **checkpoint_out);
void weir_checkpoint_close(weir_checkpoint *checkpoint); /* NULL is fine */

/* There is a manifest in `folder`, whatever it says. */
bool weir_checkpoint_is(const char *folder);

/* Valid until close. */
const struct weir_checkpoint_info *weir_checkpoint_info(const weir_checkpoint *checkpoint);

/* The index of a tensor, or -1. */
int weir_checkpoint_find(const weir_checkpoint *checkpoint, enum weir_checkpoint_kind kind, const char *name);

/* Elements first .. first + n - 1 of a tensor, joined of its pieces.  WEIR_ERR_INVALID: there are fewer, or a file does not
 * have what the manifest says.  What was not verified may be damaged. */
weir_status weir_checkpoint_read(weir_checkpoint *checkpoint, int tensor, int64_t first, int64_t n, float *values_out);

/* The program's own bytes: memory to be freed with weir_free, NULL and 0 where there are none. */
weir_status weir_checkpoint_extra(weir_checkpoint *checkpoint, void **data_out, size_t *bytes_out);

/* Read all files and compare them with the manifest.  WEIR_ERR_INVALID names file and tensor (or header) of the first
 * difference.  WEIR_ERR_IO. */
weir_status weir_checkpoint_verify(weir_checkpoint *checkpoint);

/* The same for the files whose index is `turn` modulo `n_turns`: several processes share the work. */
weir_status weir_checkpoint_verify_some(weir_checkpoint *checkpoint, int turn, int n_turns);

/* ---- folders ------------------------------------------------------------------------------------------------------- */

struct weir_checkpoint_entry {
    int64_t step;
    const char *folder; /* "D/step-000120" */
    const char *flaw;   /* why weir_checkpoint_open() refuses it; NULL: it does not */
    bool damaged;       /* the flaw is that it is not whole (WEIR_ERR_INVALID), not that it cannot be read */
    double val_loss;    /* NaN: none */
    int64_t when;       /* the manifest was written, in seconds since 1970 */
    uint64_t bytes;     /* of all files that the manifest names, and of itself */
};

/* All checkpoints of folder `dir`, torn ones too, by step, in the arena.  A folder that is not there has none.  WEIR_ERR_IO. */
weir_status weir_checkpoint_list(const char *dir, struct weir_arena *arena, struct weir_checkpoint_entry **entries_out,
                                 int *n_out);

/* Is told of a checkpoint that is passed over: `message` names file, tensor and reason. */
typedef void (*weir_checkpoint_said_fn)(void *context, const char *message);

/* Open the newest checkpoint of `dir` that verifies.  *checkpoint_out is NULL when there is none.  WEIR_ERR_UNSUPPORTED: before one
 * was found there was one of another version of the format, which is not passed over. */
weir_status weir_checkpoint_newest(const char *dir, weir_checkpoint_said_fn said, void *context,
                                   weir_checkpoint **checkpoint_out);

/* Remove a checkpoint, its manifest first, so that it is not taken for whole while it goes.  Files that no checkpoint has stay,
 * and so does their folder. */
weir_status weir_checkpoint_remove(const char *folder);

/* ---- writing ------------------------------------------------------------------------------------------------------- */

/* One tensor to be written, whole. */
struct weir_checkpoint_source {
    const char *name;
    enum weir_checkpoint_kind kind;
    int n_dims;
    const int64_t *dims;
    weir_status (*read)(void *context, int64_t first, int64_t n, float *values_out);
    void *context;
};

/* Write the checkpoint DIR/step-N of step about->step from tensors that are read one after the other, in one file.  Of `about`
 * the fields from step to config are read.  `extra` NULL: no bytes of the program's own.
 * WEIR_ERR_INVALID: there is a whole one of that step.  WEIR_ERR_IO.  On failure what was begun is removed. */
weir_status weir_checkpoint_write(const char *dir, const struct weir_checkpoint_info *about, int n_tensors,
                                  const struct weir_checkpoint_source *tensors, const void *extra, size_t extra_bytes);

/* ---- exports ----------------------------------------------------------------------------------------------------- */


/* The value of "source", "f32", "bf16" or "f16".  WEIR_ERR_USAGE lists them. */
weir_status weir_export_dtype_find(const char *name, enum weir_export_dtype *dtype_out);

/* What weir_engine_export can refuse, found out before training: can the folder be made and written to, the files in it be
 * replaced, those it is like be read, and is there room for all of them?  *made_out: the folder was not there and is now, so that
 * the caller removes it when nothing comes of the export; a failure leaves none.  For the process that writes.
 * WEIR_ERR_UNSUPPORTED: the model has no Hugging Face form.  WEIR_ERR_IO, WEIR_ERR_INVALID. */
weir_status weir_export_check_sized(const struct weir_graph *graph, const struct weir_export *what, size_t what_bytes, bool *made_out);
static inline weir_status weir_export_check(const struct weir_graph *graph, const struct weir_export *what, bool *made_out)
{
    return weir_export_check_sized(graph, what, sizeof *what, made_out);
}

/* Whose model an export into the folder `dir` would replace; the files are looked at, and errors mean others. */
enum weir_export_owner weir_export_owner(const char *dir);

/* Is this the name of a file of weights among several, "model-00001-of-00002.safetensors" and its like? */
bool weir_export_is_shard(const char *name);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
