/* Programs for tests of the compiler: of gpt2-tiny (2 samples per micro-batch, adamw), and random ones. */
#ifndef WEIR_TESTS_PROGRAM_FIXTURE_H
#define WEIR_TESTS_PROGRAM_FIXTURE_H

#include "engine/program/program.h"
#include "include/weir/weir.h"

struct program_fixture {
    struct weir_arena arena;
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    struct weir_program *program;
};

/* Release with weir_arena_release(&f->arena).  recompute: a list of layers, or NULL. */
void program_fixture_build(struct program_fixture *f, const char *schedule, int stages, int chunks, int microbatches);
void program_fixture_recompute(struct program_fixture *f, const char *schedule, int stages, int chunks,
                               int microbatches, const char *recompute);
void program_fixture_model(struct program_fixture *f, const struct weir_model_kind *kind, const char *schedule, int stages,
                           int microbatches);
void program_fixture_bf16(struct program_fixture *f, const char *schedule, int stages, int chunks, int microbatches);

/* A random schedule of an odd graph (odd_graph.h), cut at random: up to 4 ranks, 9 stages, 6 micro-batches and 3 replicas,
 * with and without ZeRO-1, recomputation, small buckets, REDUCE_GRAD and slots enough. */
void program_fixture_random(struct program_fixture *f, uint64_t seed);

#endif
