/* Data sources: an endless, numbered sequence of samples.
 *
 * A source has n_samples samples.  The sequence visits all of them, then all again in another order, for ever:
 *
 *     number     0 ......... n-1 | n ........ 2n-1 | 2n ...         number = epoch · n_samples + place in the epoch
 *     epoch      0               | 1               | 2
 *     sample     a permutation   | another         | ...            keyed by (seed, epoch)
 *
 * What stands at a number is a pure function of the files, the seed and the number.  weir_data_first() deals the numbers
 * to steps and replicas, so a resumed run, another schedule and another replica count see the same samples in the same
 * order.  The permutation is computed (a Feistel network over Philox, walking its cycle until it lands below n_samples),
 * not stored.
 *
 * There are two kinds:
 *
 *     tokens  one or several files of tokens: text (bytes are tokens 0..255), the .bin files of nanoGPT, llm.c and
 *             Megatron, NumPy arrays, JSON Lines (engine/data/token_open.h has the formats).  Sample i of a file is the seq_len + 1 tokens from i · seq_len
 *             on: inputs are the first seq_len of them, targets the last seq_len.  In an epoch every token of a file but
 *             those of an incomplete end is an input once; no sample spans two files.  Files stay on disk and are read
 *             sample by sample: an epoch may be larger than memory.  Texts that an encoder turns into tokens
 *             (weir_data_open_texts) lie in memory, 4 bytes a token, as if they were one file.
 *     idx     a directory with an IDX image file (u8, three dimensions) and an IDX label file (u8, one dimension), the
 *             format of MNIST, plain or gzip, found by content: other files may lie beside them, and a test set
 *             (engine/data/idx_folder.h).  Inputs are pixels / 255 as float32, targets are labels.
 *
 *     weir_data *data;
 *     status = weir_data_paths("train_*.bin", &arena, &paths, &n_paths);
 *     status = weir_data_open_tokens(paths, n_paths, WEIR_DATA_FORMAT_AUTO, 1024, 50257, seed, &data);
 *     const struct weir_data_info *info = weir_data_info(data);
 *     int32_t *inputs = ..., *targets = ...;                  n · elements of info->input and info->target
 *     int64_t first = weir_data_first(step, replica, n_replicas, n);
 *     status = weir_data_read(data, first, n, inputs, targets);
 *     weir_data_prefetch(data, first + n, n);                 what comes next is read from disk while the step runs
 *     weir_data_close(data);
 *
 * Threads: an open source does not change; any number of threads may read from it. */
#ifndef WEIR_ENGINE_DATA_DATA_H
#define WEIR_ENGINE_DATA_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "engine/data/data_encoder.h"
#include "engine/data/data_format.h"
#include "kernels/tensor.h"

typedef struct weir_data weir_data;

struct weir_data_info {
    const char *kind;         /* "idx", or what was found: "text", "uint16", "llm.c gpt-2", "Megatron int32", "JSON Lines" */
    struct weir_shape input;  /* of one sample; tokens: i32 (seq_len), idx: f32 (rows, columns) */
    struct weir_shape target; /* of one sample; tokens: i32 (seq_len), idx: i32 () */
    int64_t n_samples;        /* in an epoch, at least 1 */
    int64_t n_tokens;         /* of all files; idx: 0 */
    int64_t n_documents;      /* of files that say so, else 0 */
    bool is_text;             /* tokens are the bytes of a text */
    const char *tokenizer;    /* name of the encoder that made the tokens; NULL: none did */
    int32_t end;              /* the token that it puts between documents, or -1 */
    bool packed;              /* a file is gzip */
    const char *images;       /* idx: the file of the images; else NULL */
    int64_t n_classes;        /* targets are below this; tokens: the vocabulary, idx: largest label + 1 */
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* The files that `text` names: a path, or paths and shell patterns (* ? [ ]) separated by commas.  What exists under the
 * very name is taken as it is, so commas and brackets in names do no harm.  The matches of a pattern come in the order of
 * their bytes, in any locale.  A path without pattern need not exist: opening it says why it does not.
 *
 * WEIR_ERR_IO: a pattern without match.  WEIR_ERR_USAGE: an empty name.  WEIR_ERR_NOMEM. */
weir_status weir_data_paths(const char *text, struct weir_arena *arena, const char *const **paths_out, int *n_paths_out);

/* Open files of tokens, all of one kind, for a model with `vocabulary` ids.  `format` holds for all of them;
 * WEIR_DATA_FORMAT_AUTO finds it out and refuses a file that leaves a doubt.  The files stay open, a
 * descriptor each: one that is cut short is an error of the next read that needs what is gone.  At most 2^31 - 1 ids.
 *
 * Opening reads headers and the first sample of each file, and all of a gzip file or of JSON Lines; the ids of every
 * other sample are checked when it is read.
 *
 * WEIR_ERR_IO: cannot be opened or read.  WEIR_ERR_INVALID: seq_len < 1, vocabulary < 1, no file, not a regular file,
 * empty, damaged (names file and byte), of no format that is read or not to be told, with fewer than seq_len + 1 tokens,
 * files of several kinds, a file named twice, an id in a first sample that is not below `vocabulary`.  WEIR_ERR_NOMEM.
 * On failure `data_out` is untouched. */
weir_status weir_data_open_tokens(const char *const *paths, int n_paths, enum weir_data_format format, int64_t seq_len,
                                  int64_t vocabulary, uint64_t seed, weir_data **data_out);

/* The same, with texts as tokens of `encoder`: of every text (a plain file, a line of JSON Lines) exactly those that it makes of
 * all of the text, and between two texts, of different files too, its end-of-text token where it has one.  The tokens of
 * all files follow one another as if in one file, and lie in memory.  Files of tokens are read as they are.  A byte-order mark
 * at the head of a file is no part of its text.
 *
 * WEIR_ERR_INVALID: a text that is no UTF-8 (names file, line and byte), ids of `encoder` that `vocabulary` has no room for.  What
 * the encoder's functions return. */
weir_status weir_data_open_texts(const char *const *paths, int n_paths, enum weir_data_format format, int64_t seq_len,
                                 int64_t vocabulary, struct weir_data_encoder *encoder, uint64_t seed,
                                 weir_data **data_out);

/* Open one file as text, whatever its name, with a vocabulary of 256.  Fails as weir_data_open_tokens() does. */
weir_status weir_data_open_text(const char *path, int64_t seq_len, uint64_t seed, weir_data **data_out);

/* Open the images and labels of a directory; both are read into memory, one byte per pixel.  Of several sets the one that is
 * called train (train-images-idx3-ubyte and so on); other files, and damaged ones, are passed over.
 *
 * WEIR_ERR_IO: cannot be read.  WEIR_ERR_INVALID: no images or no labels, several of which none is called so, counts that
 * differ, sizes that do not fit together, a damaged or truncated file (the message names file and byte).  WEIR_ERR_NOMEM. */
weir_status weir_data_open_idx(const char *directory, uint64_t seed, weir_data **data_out);

/* The same for the set beside it that is called t10k or test; *data_out is NULL where there is none. */
weir_status weir_data_open_idx_test(const char *directory, uint64_t seed, weir_data **data_out);

void weir_data_close(weir_data *data); /* NULL is fine */

/* Valid until the source is closed. */
const struct weir_data_info *weir_data_info(const weir_data *data);

/* The number of the first sample of a replica in a step.  Steps take turns, replicas within a step too: with S samples
 * per replica and step,
 *
 *     number    0 .. S-1 | S .. 2S-1 | ... DS-1 | DS ..            D replicas
 *     read by   step 0 r 0 | step 0 r 1 | ...   | step 1 r 0 ..
 *
 * so step s of all replicas reads [s·D·S, (s+1)·D·S), in which micro-batch k of m of replica r, with B samples each and
 * S = m·B, reads B numbers from first + k·B on.  -1 when the number does not fit in an int64 (no read takes it). */
int64_t weir_data_first(int64_t step, int replica, int n_replicas, int64_t samples_per_replica);

/* Write the `n` samples from number `first` on to `inputs_out` and `targets_out`, one after the other.  Allocates
 * nothing; blocks on nothing but reading from disk: of a file of tokens, one call per sample and 16 KiB.
 *
 * WEIR_ERR_INVALID: first < 0, n < 0, or first + n does not fit in an int64; a token that is not below the vocabulary
 * (names file, token, byte and id).  WEIR_ERR_IO: a file was cut short since it was opened.  After a failure what was
 * written is undefined. */
weir_status weir_data_read(const weir_data *data, int64_t first, int n, void *inputs_out, void *targets_out);

/* Have what a read of the same numbers will touch brought in from disk, and return at once.  A hint: it cannot fail, and
 * nothing depends on it; what is wrong with a sample is the read's to say. */
void weir_data_prefetch(const weir_data *data, int64_t first, int64_t n);

/* A hash (XXH3) of what a run reads first: of the number of samples, and of samples from number 0 on, all of them or 32 MiB.  A
 * sample with a token beyond the vocabulary counts as such.  WEIR_ERR_IO as above; WEIR_ERR_NOMEM. */
weir_status weir_data_hash(const weir_data *data, uint64_t *hash_out);

/* The sample that stands at `number`, in [0, n_samples).  `number` must not be negative. */
int64_t weir_data_sample(const weir_data *data, int64_t number);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
