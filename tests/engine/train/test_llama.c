/* Llama: the same bits for every partition and schedule, and the graph's shapes.   labels: threads */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#include "base/replace.h"
#include "base/text.h"
#include "include/weir/weir.h"

enum { STEPS = 2, MICROBATCHES = 2, BATCH = 2, LENGTH = 9, TOKENS = 20 };

static const char config_text[] =
    "{\"model_type\":\"llama\",\"hidden_size\":12,\"intermediate_size\":20,\"num_hidden_layers\":2,"
    "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"head_dim\":6,\"max_position_embeddings\":16,"
    "\"tie_word_embeddings\":true,\"vocab_size\":20}";

static const struct weir_graph *graph_build(struct weir_arena *arena)
{
    const struct weir_model_kind *kind;
    const struct weir_graph *graph;
    struct weir_model_params params = {.microbatch_size = BATCH, .seq_len = LENGTH, .dropout = 0.1};
    assert_ok(weir_file_write(testing_path("c.json"), config_text, strlen(config_text)));
    assert_ok(weir_model_open(testing_path("c.json"), arena, &kind));
    assert_ok(weir_model_build(kind, &params, arena, &graph));
    return graph;
}

/* Losses of all steps and all parameters, one after the other. */
static size_t train(const char *schedule_name, int stages, const char *recompute, float *out)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    weir_engine *engine;
    size_t used = 0;
    config.graph = graph_build(&arena);
    assert_ok(weir_pipeline_schedule(schedule_name, stages, 0, MICROBATCHES, &arena, &schedule));
    config.schedule = &schedule;
    config.recompute = recompute;
    assert_ok(weir_engine_open(&config, &engine));
    for (int step = 0; step < STEPS; step++) {
        int32_t tokens[BATCH * LENGTH], targets[BATCH * LENGTH];
        struct weir_step_report report;
        for (int mb = 0; mb < MICROBATCHES; mb++) {
            for (int i = 0; i < BATCH * LENGTH; i++) {
                tokens[i] = (i * 7 + mb * 3 + step) % TOKENS;
                targets[i] = (tokens[i] * 3 + 1) % TOKENS;
            }
            assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
            assert_ok(weir_engine_feed(engine, "targets", mb, targets));
        }
        assert_ok(weir_engine_step(engine, 1e-2, &report));
        out[used++] = (float)report.loss;
    }
    for (int i = 0; i < config.graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&config.graph->params[i].shape);
        assert_ok(weir_engine_param_read(engine, config.graph->params[i].name, out + used, n));
        used += n;
    }
    weir_engine_close(engine);
    weir_arena_release(&arena);
    return used;
}

static void every_partition_and_schedule_gives_the_same_bits(void **state)
{
    (void)state;
    static const struct {
        const char *schedule;
        int stages;
        const char *recompute;
    } rows[] = {{"1f1b", 2, NULL},  {"1f1b", 3, NULL},   {"1f1b", 6, "full"}, {"gpipe", 4, NULL},
                {"zb-h1", 2, NULL}, {"zb-h1", 3, "full"}, {"zbv", 4, NULL},    {"zbv", 6, "full"}};
    static float one[8192], other[8192];
    size_t n = train("1f1b", 1, NULL, one);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(train(rows[i].schedule, rows[i].stages, rows[i].recompute, other), n);
        if (memcmp(one, other, n * sizeof *one) != 0)
            fail_msg("%s on %d stages has other bits than one stage", rows[i].schedule, rows[i].stages);
    }
}

static void parameters_have_their_published_names_and_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t rows, columns;
        bool decay;
    } wanted[] = {{"model.embed_tokens.weight", 20, 12, true},
                  {"model.layers.1.input_layernorm.weight", 12, 0, false},
                  {"model.layers.1.self_attn.q_proj.weight", 24, 12, true},
                  {"model.layers.1.self_attn.k_proj.weight", 12, 12, true},
                  {"model.layers.1.self_attn.v_proj.weight", 12, 12, true},
                  {"model.layers.1.self_attn.o_proj.weight", 12, 24, true},
                  {"model.layers.1.post_attention_layernorm.weight", 12, 0, false},
                  {"model.layers.1.mlp.gate_proj.weight", 20, 12, true},
                  {"model.layers.1.mlp.up_proj.weight", 20, 12, true},
                  {"model.layers.1.mlp.down_proj.weight", 12, 20, true},
                  {"model.norm.weight", 12, 0, false}};
    struct weir_arena arena = {0};
    const struct weir_graph *graph = graph_build(&arena);
    assert_int_equal(graph->n_params, 2 + 2 * 9);
    assert_int_equal(graph->n_layers, 6);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        int p = 0;
        while (p < graph->n_params && strcmp(graph->params[p].name, wanted[i].name))
            p++;
        if (p == graph->n_params)
            fail_msg("there is no parameter '%s'", wanted[i].name);
        const struct weir_shape *shape = &graph->params[p].shape;
        assert_int_equal(shape->dims[0], wanted[i].rows);
        assert_int_equal(shape->n_dims > 1 ? shape->dims[1] : 0, wanted[i].columns);
        assert_int_equal(graph->params[p].decay, wanted[i].decay);
    }
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_partition_and_schedule_gives_the_same_bits),
        cmocka_unit_test(parameters_have_their_published_names_and_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
