/* Data sources: an endless, numbered sequence of samples.
 *
 * A source has n_samples samples.  The sequence visits all of them, then all again in another order, for ever:
 *
 *     number     0 ......... n-1 | n ........ 2n-1 | 2n ...         number = epoch · n_samples + place in the epoch
 *     epoch      0               | 1               | 2
 *     sample     a permutation   | another         | ...            keyed by (seed, epoch)
 *
 * What stands at a number is a pure function of the files, the seed and the number.  A step that trains micro-batches of
 * B samples reads numbers [step · m · B, (step + 1) · m · B), so a resumed run, another schedule and another replica
 * count see the same samples in the same order.  The permutation is computed (a Feistel network over Philox, walking
 * its cycle until it lands below n_samples), not stored.
 *
 * There are two kinds:
 *
 *     text   a file of bytes; every byte is a token 0..255.  Sample i is the seq_len + 1 bytes from i · seq_len on:
 *            inputs are the first seq_len of them, targets the last seq_len.  In an epoch every byte but those of an
 *            incomplete end is an input once.
 *     idx    a directory with one IDX image file (u8, three dimensions) and one IDX label file (u8, one dimension), the
 *            format of MNIST, plain or gzip, found by content: other files may lie beside them.  Inputs are pixels / 255
 *            as float32, targets are labels.
 *
 *     weir_data *data;
 *     status = weir_data_open_text("book.txt", 64, seed, &data);
 *     const struct weir_data_info *info = weir_data_info(data);
 *     int32_t *inputs = ..., *targets = ...;                  n · elements of info->input and info->target
 *     status = weir_data_read(data, step * n, n, inputs, targets);
 *     weir_data_close(data);
 *
 * Threads: an open source does not change; any number of threads may read from it. */
#ifndef WEIR_ENGINE_RUN_DATA_H
#define WEIR_ENGINE_RUN_DATA_H

#include <stdint.h>

#include "base/status.h"
#include "kernels/tensor.h"

typedef struct weir_data weir_data;

struct weir_data_info {
    const char *kind;         /* "text" or "idx" */
    struct weir_shape input;  /* of one sample; text: i32 (seq_len), idx: f32 (rows, columns) */
    struct weir_shape target; /* of one sample; text: i32 (seq_len), idx: i32 () */
    int64_t n_samples;        /* in an epoch, at least 1 */
    int64_t n_classes;        /* targets are below this; text: 256, idx: largest label + 1 */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Open a file as a sequence of bytes.  The file is mapped: it must not shrink while the source is open.
 *
 * WEIR_ERR_IO: cannot be opened or mapped.  WEIR_ERR_INVALID: seq_len < 1, not a regular file, or shorter than
 * seq_len + 1 bytes.  WEIR_ERR_NOMEM.  On failure `data_out` is untouched. */
weir_status weir_data_open_text(const char *path, int64_t seq_len, uint64_t seed, weir_data **data_out);

/* Open the images and labels of a directory; both are read into memory, one byte per pixel.
 *
 * WEIR_ERR_IO: cannot be read.  WEIR_ERR_INVALID: not exactly one image and one label file, counts that differ, sizes
 * that do not fit together, a damaged or truncated file (the message names file and byte).  WEIR_ERR_NOMEM. */
weir_status weir_data_open_idx(const char *directory, uint64_t seed, weir_data **data_out);

void weir_data_close(weir_data *data); /* NULL is fine */

/* Valid until the source is closed. */
const struct weir_data_info *weir_data_info(const weir_data *data);

/* Write the `n` samples from number `first` on to `inputs_out` and `targets_out`, one after the other.  Allocates
 * nothing and blocks on nothing but page faults.
 *
 * WEIR_ERR_INVALID: first < 0, n < 0, or first + n does not fit in an int64. */
weir_status weir_data_read(const weir_data *data, int64_t first, int n, void *inputs_out, void *targets_out);

/* The sample that stands at `number`, in [0, n_samples).  `number` must not be negative. */
int64_t weir_data_sample(const weir_data *data, int64_t number);

#ifdef __cplusplus
}
#endif

#endif
