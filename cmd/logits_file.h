/* weir generate --logits: what the model says before each token is chosen, as a NumPy file.
 *
 *     >>> numpy.load("l.npy").shape
 *     (40, 1, 50257)                     tokens, samples, vocabulary: float32, little-endian, C order
 *
 * Row t, sample s has the logits from which token t of sample s was drawn; samples that have ended go on in rows of their own.
 * The format is numpy.lib.format, version 1.0. */
#ifndef WEIR_CMD_LOGITS_FILE_H
#define WEIR_CMD_LOGITS_FILE_H

#include <stdint.h>

#include "base/replace.h"

struct logits_file {
    struct weir_replacement file;
    int64_t n_samples, vocabulary, n_rows; /* rows written, of all samples */
};

/* WEIR_ERR_IO: the file cannot be written.  WEIR_ERR_USAGE: it is a pipe or a device, whose first bytes cannot be set at the end. */
weir_status logits_open(struct logits_file *logits, const char *path, int64_t n_samples, int64_t vocabulary);

/* The next row: logits[vocabulary], sample by sample. */
weir_status logits_add(struct logits_file *logits, const float *values);

/* The file is whole and in its place; or forget it, which is fine for all zero bits. */
weir_status logits_commit(struct logits_file *logits);
void logits_abort(struct logits_file *logits);

#endif
