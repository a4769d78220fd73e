/* Write the weights of a runner as a Hugging Face folder; include/weir/weir.h has the contract (weir_engine_export). */
#ifndef WEIR_ENGINE_CHECKPOINT_EXPORT_WRITE_H
#define WEIR_ENGINE_CHECKPOINT_EXPORT_WRITE_H

#include "include/weir/checkpoint.h"
#include "engine/run/runner.h"

/* A copy of a program's struct, which may have another size. */
weir_status weir_export_take(const struct weir_export *given, size_t given_bytes, struct weir_export *own);

weir_status weir_export_write(struct weir_runner *runner, const struct weir_export *export);

#endif
