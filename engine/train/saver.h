/* Writing checkpoints of a runner, by all processes together (saver.c has the states; include/weir/weir.h the contracts of save, poll
 * and wait). */
#ifndef WEIR_ENGINE_TRAIN_SAVER_H
#define WEIR_ENGINE_TRAIN_SAVER_H

#include "engine/train/trainer.h"

/* Where the state lies; with `snapshots` in the configuration, room for a copy of it. */
weir_status weir_saver_open(struct weir_runner *runner, struct weir_saver **saver_out);

/* Begin the checkpoint after `step` steps; none is being written.  When `save` is in the background, returns once the state is
 * copied. */
weir_status weir_saver_save(struct weir_saver *saver, const struct weir_save *save, int64_t step);
weir_status weir_saver_poll(struct weir_saver *saver, bool *busy_out);
weir_status weir_saver_wait(struct weir_saver *saver);

#endif
