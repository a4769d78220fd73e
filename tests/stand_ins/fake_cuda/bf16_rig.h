/* Small models trained on the cuda device, in bf16 or f32, on the stand-in for the CUDA runtime. */
#ifndef WEIR_TESTS_BF16_RIG_H
#define WEIR_TESTS_BF16_RIG_H

#include "engine/train/trainer.h"
#include "fake_cuda.h"

enum bf16_model { BF16_GPT2, BF16_LLAMA, BF16_MLP, BF16_ODD, BF16_MODELS };

/* One run: what differs from the configuration's defaults. */
struct bf16_run {
    enum bf16_model model;
    enum weir_compute dtype;
    const char *device, *schedule, *recompute;
    int stages, chunks, replicas;
    int microbatches; /* of a step, all replicas together; 0: four */
    bool zero;
};

struct bf16_rig {
    struct weir_arena arena;
    struct weir_schedule schedule;
    struct weir_engine_config config;
    weir_engine *engine;
    enum bf16_model model;
    int microbatches;
};

/* The configuration alone; bf16_open also opens the engine. */
void bf16_configure(const struct bf16_run *run, struct bf16_rig *rig);
void bf16_open(const struct bf16_run *run, struct bf16_rig *rig);
void bf16_close(struct bf16_rig *rig);

/* Feed the data of `step`, and run it; the loss, and a failure is the test's. */
void bf16_feed(struct bf16_rig *rig, int step);
double bf16_step(struct bf16_rig *rig, int step, double learning_rate);

/* Every f32 parameter, in graph order; n elements in all. */
size_t bf16_elements(const struct bf16_rig *rig);
void bf16_params(struct bf16_rig *rig, float *values_out);

/* The copies of the parameters that rank `rank` holds, where the graph has its parameters; others stay. */
void bf16_copies(struct bf16_rig *rig, int rank, uint16_t *bits_out);

void bf16_machine(int n_devices, enum weir_fake_mode mode, uint64_t seed);

#endif
