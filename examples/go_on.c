/* Train a few steps more each time that the program runs.  It goes on from the checkpoint that it left before, which has bytes of
 * the program's own: where its random numbers were. */
#include <math.h>
#include <stdio.h>
#include <weir/weir.h>

enum { BATCH = 8, SEQ = 16, MICROBATCHES = 2, STEPS = 4 };

static uint64_t random_next(uint64_t *state) /* of the program's own: the data are drawn from it */
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static weir_status feed(weir_engine *engine, uint64_t *state)
{
    int32_t tokens[BATCH * SEQ], targets[BATCH * SEQ];
    weir_status status = WEIR_OK;
    for (int mb = 0; mb < MICROBATCHES && !status; mb++) {
        for (int i = 0; i < BATCH * SEQ; i++) {
            tokens[i] = (int32_t)(random_next(state) % 64);
            targets[i] = (tokens[i] * 3 + 1) % 64;
        }
        status = weir_engine_feed(engine, "tokens", mb, tokens);
        status = status ? status : weir_engine_feed(engine, "targets", mb, targets);
    }
    return status;
}

static weir_status state_take(weir_engine *engine, const char *dir, uint64_t *state)
{
    weir_checkpoint *checkpoint;
    void *extra = NULL;
    size_t bytes = 0;
    weir_status status = weir_engine_newest(engine, dir, NULL, NULL, &checkpoint);
    if (status || !checkpoint) /* none: begin */
        return status;
    status = weir_engine_load(engine, checkpoint);
    status = status ? status : weir_checkpoint_extra(checkpoint, &extra, &bytes);
    if (!status && bytes == sizeof *state)
        *state = *(const uint64_t *)extra;
    weir_free(extra);
    weir_checkpoint_close(checkpoint);
    return status;
}

static weir_status steps_run(weir_engine *engine, const char *dir, uint64_t *state)
{
    struct weir_step_report report;
    weir_status status = WEIR_OK;
    for (int i = 0; i < STEPS && !status; i++) {
        status = feed(engine, state);
        status = status ? status : weir_engine_step(engine, 1e-3, &report);
        if (!status)
            printf("step %lld: loss %.9g\n", (long long)report.step, report.loss);
    }
    struct weir_save save = {.struct_bytes = sizeof save, .dir = dir, .val_loss = NAN, .keep = 2,
                             .extra = state, .extra_bytes = sizeof *state};
    return status ? status : weir_engine_save(engine, &save);
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : "go_on.checkpoints";
    struct weir_arena arena = {0};
    struct weir_model_params params = {.microbatch_size = BATCH, .seq_len = SEQ};
    struct weir_schedule schedule;
    struct weir_engine_config config;
    const struct weir_model_kind *kind;
    weir_engine *engine = NULL;
    uint64_t state = 1;
    weir_engine_config_init(&config, sizeof config);
    weir_status status = weir_model_find("gpt2-tiny", &kind);
    status = status ? status : weir_model_build(kind, &params, &arena, &config.graph);
    status = status ? status : weir_pipeline_schedule("1f1b", 2, 0, MICROBATCHES, &arena, &schedule); /* or another, any time */
    config.schedule = &schedule;
    config.optimizer = WEIR_OPTIMIZER_ADAMW;
    status = status ? status : weir_engine_open(&config, &engine);
    status = status ? status : weir_engine_save_check(engine, dir);
    status = status ? status : state_take(engine, dir, &state);
    status = status ? status : steps_run(engine, dir, &state);
    if (status)
        fprintf(stderr, "%s\n", weir_last_error());
    weir_engine_close(engine);
    weir_arena_release(&arena);
    return status != WEIR_OK;
}
