/* Between the host and the blocks of a rank, on kinds of device whose memory the host cannot touch and on those where it can.
 *
 *     push, pull   what changes every step: DATA and STEP.  Each has a mirror in host memory that copies may use; the copies
 *                  are enqueued on the rank's stream.  What was pulled can be read once the stream was synchronised.
 *     write, read  everything else, between steps: chunk by chunk, done when the call returns.
 *
 * Where the host reaches the memory there are no mirrors and push and write are memcpy; call them between steps. */
#ifndef WEIR_ENGINE_RUN_TRANSFER_H
#define WEIR_ENGINE_RUN_TRANSFER_H

#include "engine/run/machine.h"

/* Mirrors and the chunk's room, once the rank has its blocks. */
weir_status weir_transfer_open(struct weir_rank *rank);
void weir_transfer_close(struct weir_rank *rank);

weir_status weir_push(struct weir_rank *rank, enum weir_memory_kind kind, size_t offset, const void *data, size_t bytes);
weir_status weir_push_bf16(struct weir_rank *rank, enum weir_memory_kind kind, size_t offset, const float *values,
                           int64_t n); /* rounded on the way */
weir_status weir_pull(struct weir_rank *rank, enum weir_memory_kind kind, size_t offset, size_t bytes);
const void *weir_pulled(const struct weir_rank *rank, enum weir_memory_kind kind, size_t offset);

/* Where `n` values that are to be written are made best: in the block itself, or in the chunk, and then *n is cut to what fits. */
float *weir_write_room(struct weir_rank *rank, enum weir_memory_kind kind, size_t offset, int64_t *n);
weir_status weir_write(struct weir_rank *rank, enum weir_memory_kind kind, size_t offset, const void *data, size_t bytes);
weir_status weir_read(struct weir_rank *rank, enum weir_memory_kind kind, size_t offset, void *data_out, size_t bytes);

#endif
