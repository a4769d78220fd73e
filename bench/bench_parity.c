/* bench_parity: what Weir computes for a model folder, for comparison with another program (bench/peers/hf_parity.py).
 *
 *     bench_parity MODEL_DIR BATCHES.safetensors OUT.safetensors STAGES EXPORT_DIR
 *
 * BATCHES has "tokens" and "targets", I32 (steps, micro-batches, B, T).  Trains with AdamW (rate 1e-3, betas 0.9 and 0.95,
 * eps 1e-8, decay 0.1 on matrices, norm clipped to 1) and writes: "logits" of step 0 (micro-batches * B, T, V), "grad.NAME"
 * of step 0 for every parameter, "losses" (steps); then the trained weights to EXPORT_DIR. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/logit_tap.h"
#include "base/alloc.h"
#include "base/safetensors.h"
#include "include/weir/weir.h"

struct run {
    struct weir_safetensors batches;
    const struct weir_safetensors_tensor *tokens, *targets;
    int64_t steps, microbatches, batch, length;
    struct weir_arena arena;
    struct logit_tap tap;
    weir_engine *engine;
    float *losses;
    weir_safetensors_writer *out;
};

static void must(weir_status status)
{
    if (!status)
        return;
    fprintf(stderr, "bench_parity: %s\n", weir_last_error());
    exit(1);
}

static void batches_open(struct run *run, const char *path)
{
    must(weir_safetensors_open(path, &run->batches));
    run->tokens = weir_safetensors_find(&run->batches, "tokens");
    run->targets = weir_safetensors_find(&run->batches, "targets");
    if (!run->tokens || !run->targets || run->tokens->n_dims != 4 || run->tokens->dtype != WEIR_SAFETENSORS_I32 ||
        run->targets->dtype != WEIR_SAFETENSORS_I32 || run->targets->n_elements != run->tokens->n_elements)
        must(WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no I32 'tokens' and 'targets' of four dimensions", path));
    run->steps = run->tokens->dims[0];
    run->microbatches = run->tokens->dims[1];
    run->batch = run->tokens->dims[2];
    run->length = run->tokens->dims[3];
}

static void engine_open(struct run *run, const char *dir, int stages)
{
    const struct weir_model_kind *kind;
    const struct weir_graph *graph;
    struct weir_schedule *schedule;
    struct weir_model_params params = {.microbatch_size = run->batch, .seq_len = run->length};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    must(weir_arena_alloc(&run->arena, 1, sizeof *schedule, &schedule));
    must(weir_model_open(dir, &run->arena, &kind));
    must(weir_model_build(kind, &params, &run->arena, &graph));
    must(logit_tap_open(graph, (int)run->microbatches, &run->arena, &run->tap));
    must(weir_pipeline_schedule("1f1b", stages, 0, (int)run->microbatches, &run->arena, schedule));
    config.graph = &run->tap.graph;
    config.schedule = schedule;
    config.weight_decay = 0.1;
    must(weir_engine_open(&config, &run->engine));
    must(weir_engine_load_weights(run->engine, dir));
}

static void step_run(struct run *run, int64_t step)
{
    struct weir_step_report report;
    size_t bytes = (size_t)(run->batch * run->length) * sizeof(int32_t);
    int32_t *ids;
    must(weir_alloc(bytes, 1, &ids));
    for (int64_t mb = 0; mb < run->microbatches; mb++) {
        size_t at = (size_t)(step * run->microbatches + mb) * bytes;
        must(weir_safetensors_bytes(&run->batches, run->tokens, at, bytes, ids));
        must(weir_engine_feed(run->engine, "tokens", (int)mb, ids));
        must(weir_safetensors_bytes(&run->batches, run->targets, at, bytes, ids));
        must(weir_engine_feed(run->engine, "targets", (int)mb, ids));
    }
    weir_free(ids);
    must(weir_engine_step(run->engine, 1e-3, &report));
    run->losses[step] = (float)report.loss;
}

/* Declare logits, losses and a gradient per parameter, in this order. */
static void out_create(struct run *run, const char *path)
{
    const struct weir_graph *graph = &run->tap.graph;
    int n = graph->n_params + 2;
    struct weir_safetensors_decl *decls;
    int64_t *dims;
    must(weir_arena_alloc(&run->arena, (size_t)n, sizeof *decls, &decls));
    must(weir_arena_alloc(&run->arena, 4, sizeof *dims, &dims));
    dims[0] = run->microbatches * run->batch;
    dims[1] = run->length;
    dims[2] = run->tap.per_sample / run->length;
    dims[3] = run->steps;
    decls[0] = (struct weir_safetensors_decl){"logits", WEIR_SAFETENSORS_F32, 3, dims};
    decls[1] = (struct weir_safetensors_decl){"losses", WEIR_SAFETENSORS_F32, 1, dims + 3};
    for (int i = 0; i < graph->n_params; i++) {
        const struct weir_param *param = &graph->params[i];
        decls[2 + i] = (struct weir_safetensors_decl){NULL, WEIR_SAFETENSORS_F32, param->shape.n_dims, param->shape.dims};
        must(weir_arena_printf(&run->arena, &decls[2 + i].name, "grad.%s", param->name));
    }
    struct weir_safetensors_spec spec = {.path = path, .n_tensors = n, .tensors = decls};
    must(weir_safetensors_create(&spec, &run->out));
}

static void first_step_write(struct run *run)
{
    const struct weir_graph *graph = &run->tap.graph;
    must(weir_safetensors_write(run->out, 0, 0, run->tap.logits, (size_t)run->tap.n * sizeof(float)));
    for (int i = 0; i < graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        float *values;
        must(weir_arena_alloc(&run->arena, n, sizeof *values, &values));
        must(weir_engine_gradient_read(run->engine, graph->params[i].name, values, n));
        must(weir_safetensors_write(run->out, 2 + i, 0, values, n * sizeof *values));
    }
}

int main(int argc, char **argv)
{
    struct run run = {.engine = NULL};
    if (argc != 6) {
        fprintf(stderr, "bench_parity MODEL_DIR BATCHES.safetensors OUT.safetensors STAGES EXPORT_DIR\n");
        return 2;
    }
    batches_open(&run, argv[2]);
    engine_open(&run, argv[1], atoi(argv[4]));
    out_create(&run, argv[3]);
    must(weir_arena_alloc(&run.arena, (size_t)run.steps, sizeof *run.losses, &run.losses));
    for (int64_t step = 0; step < run.steps; step++) {
        step_run(&run, step);
        if (step == 0)
            first_step_write(&run);
    }
    must(weir_safetensors_write(run.out, 1, 0, run.losses, (size_t)run.steps * sizeof *run.losses));
    must(weir_safetensors_commit(run.out));
    must(weir_engine_export(run.engine, &(struct weir_export){.dir = argv[5]}));
    weir_engine_close(run.engine);
    weir_arena_release(&run.arena);
    weir_safetensors_close(&run.batches);
    return 0;
}
