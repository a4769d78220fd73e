/* One folder of checkpoints for all processes: that it is one, and which checkpoint in it is the newest that is whole.
 * Collective; include/weir/weir.h has the contracts (weir_engine_save_check, weir_engine_newest). */
#ifndef WEIR_ENGINE_CHECKPOINT_SHARED_FOLDER_H
#define WEIR_ENGINE_CHECKPOINT_SHARED_FOLDER_H

#include "include/weir/checkpoint.h"
#include "engine/run/world.h"

/* *lock_out: in process 0 a descriptor that holds the folder until it is closed, where the file system has locks; else -1. */
weir_status weir_shared_folder_check(const struct weir_world *world, const char *dir, int *lock_out);

/* Let other runs in; -1 is fine. */
void weir_shared_folder_unlock(int *lock);

weir_status weir_shared_folder_newest(const struct weir_world *world, const char *dir, weir_checkpoint_said_fn said,
                                      void *context, weir_checkpoint **checkpoint_out);

/* Open one checkpoint and verify it, each process its share. */
weir_status weir_shared_checkpoint_open(const struct weir_world *world, const char *folder, weir_checkpoint **checkpoint_out);

#endif
