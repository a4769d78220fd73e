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
 *             Megatron, NumPy arrays, JSON Lines (docs/training.md has the formats).  Sample i of a
 *             file is the seq_len + 1 tokens from i · seq_len on: inputs are the first seq_len of them, targets the last seq_len.  In an epoch every token of a file but
 *             those of an incomplete end is an input once; no sample spans two files.  Files stay on disk and are read
 *             sample by sample: an epoch may be larger than memory.  Texts that an encoder turns into tokens
 *             (weir_data_open_texts) lie in memory, 4 bytes a token, as if they were one file.
 *     idx     a directory with an IDX image file (u8, three dimensions) and an IDX label file (u8, one dimension), the
 *             format of MNIST, plain or gzip, found by content: other files may lie beside them, and a test set.
 *              Inputs are pixels / 255 as float32, targets are labels.
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
 * Files of tokens are written, too, and texts are read one by one (at the end of this page).
 *
 * Threads: an open source does not change; any number of threads may read from it. */
#ifndef WEIR_DATA_H
#define WEIR_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common.h"
#include "op.h"

/* in order of the enum; docs/training.md says what each is */
#define WEIR_DATA_FORMAT_TABLE(X)                                                                                      \
    X(AUTO, "auto") X(TEXT, "text") X(U16, "u16") X(U32, "u32") X(I64, "i64") X(LLMC, "llmc") X(MEGATRON, "megatron")  \
    X(NPY, "npy") X(JSONL, "jsonl")

#define WEIR_DATA_FORMAT_ENUM(name, word) WEIR_DATA_FORMAT_##name,
enum weir_data_format { WEIR_DATA_FORMAT_TABLE(WEIR_DATA_FORMAT_ENUM) WEIR_DATA_FORMATS };
#undef WEIR_DATA_FORMAT_ENUM

/* What turns the texts of a data source into tokens: a tokenizer (tokens.h), of which a source knows this table only.
 *
 *     static weir_status encode(void *context, const char *text, size_t bytes, struct weir_arena *arena,
 *                               int32_t **tokens_out, int64_t *n_out)
 *     {
 *         return weir_tokenizer_encode(context, text, bytes, WEIR_TOKENS_OF_TEXT, arena, tokens_out, n_out);
 *     }
 *     const struct weir_tokenizer *tokenizer;
 *     weir_tokenizer_load("gpt2/", &arena, &tokenizer);
 *     struct weir_data_encoder encoder = {.context = (void *)tokenizer, .encode = encode, .name = "gpt2/", .vocabulary = 50257, .end = 50256};
 *     weir_data_open_texts(paths, n_paths, WEIR_DATA_FORMAT_AUTO, 1024, 50257, &encoder, seed, &data);
 *
 * Whether a file is a text is known when it is open.  `begin` is called before the first text is encoded and fills the rest,
 * so that a tokenizer that nobody needs is never read. */

struct weir_data_encoder {
    void *context;
    weir_status (*begin)(struct weir_data_encoder *encoder); /* (optional) called once; NULL from then on */
    /* The tokens of a text, in the arena; NULL: tokens are the bytes of the text. */
    weir_status (*encode)(void *context, const char *text, size_t bytes, struct weir_arena *arena, int32_t **tokens_out,
                          int64_t *n_out);
    const char *name;   /* for messages; lives as long as the sources */
    int64_t vocabulary; /* one more than the largest id */
    int32_t end;        /* the token between two documents, unless the first one's last token is it; -1: there is none */
};

typedef struct weir_data weir_data;
typedef struct weir_token_writer weir_token_writer;

/* Takes a text; `text` ends with a zero byte that does not count, and is valid until the function returns. */
typedef weir_status (*weir_document_take)(void *context, const char *text, size_t bytes);

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

/* "megatron"; "?" for what is no format. */
const char *weir_data_format_str(enum weir_data_format format);

/* WEIR_ERR_USAGE with a suggestion when there is no such format. */
weir_status weir_data_format_find(const char *name, enum weir_data_format *format_out);

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
 * WEIR_ERR_IO: cannot be opened or read.  WEIR_ERR_INVALID: seq_len < 1, vocabulary < 1, no such format, no file, not a regular file,
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

/* ---- texts --------------------------------------------------------------------------------------------------------- */

/* The texts of a file, one after the other: a plain file is one text, JSON Lines have one per line.
 *
 *     weir_documents_read("books.jsonl.gz", WEIR_DATA_FORMAT_AUTO, "text", take, context);
 *
 * calls take(context, text, bytes) for each.  Of JSON Lines one line is in memory at a time, a plain file is read whole.  Both
 * may be gzip.  A byte-order mark at the head of a file is no part of its text. */

/* What AUTO stands for, text or jsonl.  WEIR_ERR_IO, WEIR_ERR_INVALID: cannot be read, is tokens or no text; no such format. */
weir_status weir_documents_format(const char *path, enum weir_data_format *format);

/* `field`: what the string of a line is called, "text" as a rule.  Ends with the first failure of `take`, and returns it.
 *
 * WEIR_ERR_IO, WEIR_ERR_INVALID: cannot be read, is tokens or no text, no UTF-8 (names line and byte), no JSON, without the
 * field, without any line; no such format.  WEIR_ERR_NOMEM. */
weir_status weir_documents_read(const char *path, enum weir_data_format format, const char *field, weir_document_take take,
                                void *context);

/* ---- writing tokens -------------------------------------------------------------------------------------------------- */

/* A file of tokens that weir_data_open_tokens() reads.
 *
 *     weir_token_writer_open("book.bin", WEIR_DATA_FORMAT_LLMC, 50257, &writer)
 *     weir_token_writer_put(writer, tokens, n)             as often as need be
 *     weir_token_writer_commit(writer)                     now book.bin is the new file
 *
 *     format   is                                                                    read elsewhere by
 *     llmc     256 int32 of header, then uint16; uint32 for more than 65,536 ids      llm.c (GPT-2; Llama 3)
 *     u16      uint16, no header                                                     nanoGPT
 *     u32      uint32, no header
 *
 * Until it is committed, what was there stays as it was. */

/* For ids below `vocabulary`, which is at least 1.  WEIR_ERR_UNSUPPORTED: a format that is not written.  WEIR_ERR_INVALID: no such
 * format; vocabulary < 1; u16 for more than 65,536 ids; a path that cannot be gone back in, for a header.  WEIR_ERR_IO, WEIR_ERR_NOMEM. */
weir_status weir_token_writer_open(const char *path, enum weir_data_format format, int64_t vocabulary,
                                   weir_token_writer **writer_out);

/* All `n` tokens are looked at before the first is written.
 *
 * WEIR_ERR_INVALID: an id that is not below the vocabulary; n < 0; more tokens than the header can count, 2^31 - 1.  The writer is as
 * it was, and may go on.  WEIR_ERR_IO names path and reason: no space left on device.  Some of the tokens may be in the file then:
 * every later put, and the commit, is WEIR_ERR_IO. */
weir_status weir_token_writer_put(weir_token_writer *writer, const int32_t *tokens, int64_t n);

int64_t weir_token_writer_count(const weir_token_writer *writer); /* tokens so far */
int weir_token_writer_width(const weir_token_writer *writer);     /* bytes of a token */

/* Put the file in its place; releases the writer in any case.  WEIR_ERR_INVALID: it has no tokens.  WEIR_ERR_IO. */
weir_status weir_token_writer_commit(weir_token_writer *writer);

/* Leave what was there as it was.  NULL is fine. */
void weir_token_writer_abort(weir_token_writer *writer);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
