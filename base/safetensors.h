/* safetensors: named tensors in one file, read without trust and written whole or not at all.
 *
 *     u64 N, little-endian │ N bytes of JSON │ data
 *     {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..., "__metadata__": {"key": "text"}}
 *
 * (huggingface/safetensors, README and safetensors/src/tensor.rs.)  Data is little-endian and row-major; the tensors
 * follow each other without a gap and end with the file.
 *
 * Reading.  The header is read and checked as a whole before anything of a file can be seen: sizes, UTF-8, JSON without
 * duplicate keys, offsets without holes or overlaps, shapes without overflow, the exact end.  Messages name the file, the
 * tensor and the reason.  Values are read from the file when they are asked for; one that has been cut short meanwhile is an
 * error then.  All dtypes of the format are listed; F32, F16 and BF16 can be read as float32, exactly.
 *
 *     struct weir_safetensors file;
 *     weir_safetensors_open("model.safetensors", &file);
 *     const struct weir_safetensors_tensor *t = weir_safetensors_find(&file, "wte.weight");
 *     weir_safetensors_floats(&file, t, 0, n, values);
 *     weir_safetensors_close(&file);
 *
 * Writing.  Tensors are declared first, which fixes the place of every byte; then whoever has a part of a tensor writes
 * it, in any order.  Several processes may write their parts into one file: all declare the same, one creates and
 * commits, the others join.  Until it is whole and on the disk the file has no name, or one to be joined by
 * (base/replace.h):
 *
 *     weir_safetensors_create(&spec, &writer)          ─▶ nameless, or "PATH.tmp.TAG": header, room for the data
 *     weir_safetensors_write(writer, i, at, data, n)      (also by those who called weir_safetensors_join)
 *     weir_safetensors_commit(writer)                  ─▶ synced, renamed to PATH, folder synced
 *
 * Threads: a file may be read by many; a writer may be written by many, at different places. */
#ifndef WEIR_BASE_SAFETENSORS_H
#define WEIR_BASE_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/ranged_file.h"
#include "base/safetensors_dtype.h"
#include "base/status.h"

enum { WEIR_SAFETENSORS_HEADER_MAX = 100000000 }; /* bytes of JSON, the format's limit */

struct weir_safetensors_tensor {
    const char *name;
    enum weir_safetensors_dtype dtype;
    int n_dims;
    const int64_t *dims;  /* [n_dims] */
    int64_t n_elements;
    uint64_t begin, end;  /* bytes from the start of the data */
};

struct weir_safetensors_text {
    const char *key, *value;
};

struct weir_safetensors {
    const char *path;
    int n_tensors, n_metadata;
    struct weir_safetensors_tensor *tensors; /* by name */
    struct weir_safetensors_text *metadata;
    uint64_t data_at; /* byte of the file at which the first tensor starts */
    struct weir_arena arena;
    struct weir_ranged_file file; /* all zero bits when parsed from memory */
    const char *bytes;            /* the file, when parsed from memory */
};

/* Open and check a file.  WEIR_ERR_IO: it cannot be read.  WEIR_ERR_INVALID: it breaks a rule of the format, or is nothing
 * that base/input_file.h opens. */
weir_status weir_safetensors_open(const char *path, struct weir_safetensors *file_out);

/* The same for bytes in memory, which are borrowed until close; `path` stands for the file in messages. */
weir_status weir_safetensors_parse(const void *bytes, size_t n, const char *path, struct weir_safetensors *file_out);

void weir_safetensors_close(struct weir_safetensors *file); /* all zero bits are fine */

/* The tensor called `name`, or NULL. */
const struct weir_safetensors_tensor *weir_safetensors_find(const struct weir_safetensors *file, const char *name);

/* The metadata of `key`, or NULL. */
const char *weir_safetensors_metadata(const struct weir_safetensors *file, const char *key);

/* WEIR_ERR_UNSUPPORTED, naming file, tensor and dtype, unless the tensor is F32, F16 or BF16. */
weir_status weir_safetensors_check_floats(const struct weir_safetensors *file,
                                          const struct weir_safetensors_tensor *tensor);

/* `n` bytes of a tensor, as they are in the file, from its byte `at` on.
 * WEIR_ERR_INVALID: the tensor has fewer.  WEIR_ERR_IO: the file cannot be read, or was cut short since it was opened. */
weir_status weir_safetensors_bytes(const struct weir_safetensors *file, const struct weir_safetensors_tensor *tensor,
                                   uint64_t at, size_t n, void *bytes_out);

/* Elements first .. first + n - 1 as float32.  Every value of F16 and BF16 has one; NaNs stay NaNs.
 * WEIR_ERR_UNSUPPORTED as above; WEIR_ERR_INVALID: there are fewer elements; WEIR_ERR_IO as weir_safetensors_bytes. */
weir_status weir_safetensors_floats(const struct weir_safetensors *file, const struct weir_safetensors_tensor *tensor,
                                    int64_t first, int64_t n, float *values_out);

/* `n` float32 values as elements of `dtype`, which is F32, F16 or BF16: rounded to the nearest, ties to even; what is beyond
 * the largest becomes infinite, NaNs stay NaNs. */
void weir_safetensors_round(enum weir_safetensors_dtype dtype, const float *values, size_t n, void *elements_out);

/* ---- writing ------------------------------------------------------------------------------------------------------- */

struct weir_safetensors_decl {
    const char *name;
    enum weir_safetensors_dtype dtype;
    int n_dims;
    const int64_t *dims;
};

struct weir_safetensors_spec {
    const char *path;
    const char *tag; /* of the temporary name, the same for all who write; NULL: nobody joins */
    int n_tensors, n_metadata;
    const struct weir_safetensors_decl *tensors;
    const struct weir_safetensors_text *metadata;
};

typedef struct weir_safetensors_writer weir_safetensors_writer;

/* Lay the file out and create it under its temporary name: tensors by descending alignment of their dtype, then by name;
 * the header is padded so that the data starts at a multiple of 64 bytes.  The spec may go afterwards.
 * WEIR_ERR_INVALID: a name twice, a negative dimension, or more than the format can hold.  WEIR_ERR_IO. */
weir_status weir_safetensors_create(const struct weir_safetensors_spec *spec, weir_safetensors_writer **writer_out);

/* Open what another process has created from the same spec, to write parts of it; release it with
 * weir_safetensors_leave.  WEIR_ERR_IO: there is no such file.  WEIR_ERR_INVALID: its size is another. */
weir_status weir_safetensors_join(const struct weir_safetensors_spec *spec, weir_safetensors_writer **writer_out);

/* Write `bytes` bytes of tensor `index` of the spec, from byte `at` of the tensor on.  WEIR_ERR_IO names file and reason
 * (a full disk).  WEIR_ERR_INVALID: beyond the tensor's end. */
weir_status weir_safetensors_write(weir_safetensors_writer *writer, int index, uint64_t at, const void *data,
                                   size_t bytes);

/* Have on the disk what was written so far, so that a commit takes no time.  WEIR_ERR_IO. */
weir_status weir_safetensors_sync(weir_safetensors_writer *writer);

/* Sync, rename to the final name and sync the folder; frees the writer in any case.  After a failure the new file is
 * gone and the file that was there before is as it was. */
weir_status weir_safetensors_commit(weir_safetensors_writer *writer);

/* Sync and close a joined file; frees the writer in any case. */
weir_status weir_safetensors_leave(weir_safetensors_writer *writer);

/* Remove the temporary file and free the writer; NULL is fine. */
void weir_safetensors_abort(weir_safetensors_writer *writer);

#endif
