/* The state of a runner, to and from checkpoints.
 *
 * What a process writes: the parameters that its ranks own, when they are of replica 0; and of the optimizer's state what nobody
 * before it writes, all of replica 0's, or with ZeRO-1 what its ranks keep.  Ranges of a tensor that lie side by side in this
 * process are one piece.
 *
 *     weir_runner_spans      which ranges of which tensors, and where they lie: settled once, when the runner is open
 *     weir_spans_copy        between two steps: into a snapshot
 *     weir_spans_read        a weir_part's read(): out of the snapshot, or out of the ranks' blocks
 *
 * What a process reads: the parameters and pieces that its ranks hold, of whatever layout wrote them. */
#ifndef WEIR_ENGINE_CHECKPOINT_RUNNER_STATE_H
#define WEIR_ENGINE_CHECKPOINT_RUNNER_STATE_H

#include "engine/checkpoint/part_file.h"
#include "engine/run/runner.h"

/* A range of a tensor in the block of a rank. */
struct weir_span {
    int tensor; /* index in the part's */
    int64_t first, n;
    struct weir_rank *rank;
    enum weir_memory_kind kind;
    size_t offset;
    size_t copy_at; /* in the snapshot */
};

struct weir_spans {
    int n_tensors, n_spans;
    struct weir_part_tensor *tensors; /* pieces of one beside each other */
    struct weir_span *spans;          /* by tensor, then by `first` */
    size_t bytes;                     /* of all of them */
    char *copy;                       /* [bytes]: the snapshot; NULL: read() goes to the blocks */
};

weir_status weir_runner_spans(struct weir_runner *runner, struct weir_arena *arena, struct weir_spans *spans_out);

/* Fill the snapshot.  Allocates nothing. */
weir_status weir_spans_copy(const struct weir_spans *spans);

/* `context` is the struct weir_spans. */
weir_status weir_spans_read(void *context, int tensor, int64_t first, int64_t most, float *room, const float **values_out,
                            int64_t *n_out);

/* Set parameters and optimizer state of this process.
 * WEIR_ERR_INVALID: tensors are missing, extra or misshapen, the first ones are named, or another optimizer wrote them; nothing
 * has changed. */
weir_status weir_runner_state_load(struct weir_runner *runner, weir_checkpoint *checkpoint);

/* The parameters alone. */
weir_status weir_runner_params_load(struct weir_runner *runner, weir_checkpoint *checkpoint);

#endif
