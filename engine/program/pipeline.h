/* Schedules that an engine can run, by name or by file, for a number of stages.
 *
 *     weir_pipeline_schedule("zbv", 4, 0, 8, &arena, &schedule);      4 stages on 2 ranks, 8 micro-batches
 *     weir_pipeline_schedule("./mine.csv", 0, 0, 0, &arena, &schedule);   as the file says */
#ifndef WEIR_ENGINE_PROGRAM_PIPELINE_H
#define WEIR_ENGINE_PROGRAM_PIPELINE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "schedules/schedule.h"

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* A schedule for `n_stages` stages: kind name or the path of a CSV file (which then fixes ranks and stages).
 * n_chunks: stages per rank, 0: weir_schedule_kind_chunks.  WEIR_ERR_USAGE: unknown name, chunks that the schedule
 * does not take, or n_stages is not a multiple of the chunks.  A file's numbers that contradict n_stages (when > 0),
 * n_chunks (when > 0) or n_microbatches (when > 0) are WEIR_ERR_USAGE too. */
weir_status weir_pipeline_schedule(const char *name, int n_stages, int n_chunks, int n_microbatches,
                                   struct weir_arena *arena, struct weir_schedule *out);

/* The same with every sequence in `n_slices` slices (0: as the name or the file has it).  WEIR_ERR_INVALID: a schedule that does not
 * cut sequences; WEIR_ERR_USAGE: a file that cuts them into another number. */
weir_status weir_pipeline_schedule_slices(const char *name, int n_stages, int n_chunks, int n_microbatches, int n_slices,
                                          struct weir_arena *arena, struct weir_schedule *out);

/* A file in a dialect of its letters. */
weir_status weir_pipeline_schedule_file(const char *path, enum weir_csv_dialect dialect, int n_stages, int n_chunks,
                                        int n_microbatches, struct weir_arena *arena, struct weir_schedule *out);

/* true when weir_pipeline_schedule takes `name` for a file: it holds a '/' or a '.'. */
bool weir_pipeline_is_file(const char *name);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
