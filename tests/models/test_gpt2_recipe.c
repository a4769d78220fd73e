/* The GPT-2 recipe: initial values, weight-decay groups and the tied table.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "include/weir/graph.h"
#include "models/model_kinds.h"

static const struct weir_graph *graph_build(const struct weir_model_kind *kind, struct weir_arena *arena)
{
    const struct weir_graph *graph;
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = 1};
    assert_ok(weir_model_build(kind, &params, arena, &graph));
    return graph;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* Standard deviation of a weight in a model of `blocks` blocks. */
static double wanted_std(const char *name, int blocks)
{
    if (!strcmp(name, "wpe.weight"))
        return 0.01;
    return ends_with(name, "c_proj.weight") ? 0.02 / sqrt(2.0 * blocks) : 0.02;
}

static void matrices_start_small_and_residual_projections_smaller(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph = graph_build(&weir_model_gpt2, &arena);
    int n_scaled = 0;
    for (int i = 0; i < graph->n_params; i++) {
        const struct weir_param *param = &graph->params[i];
        bool matrix = param->shape.n_dims == 2;
        assert_int_equal(param->init, matrix ? WEIR_INIT_NORMAL : WEIR_INIT_CONSTANT);
        double wanted = matrix ? wanted_std(param->name, 12) : ends_with(param->name, ".bias") ? 0 : 1;
        if (fabs(param->scale - wanted) > 1e-15)
            fail_msg("'%s' starts with %g, it should be %g", param->name, param->scale, wanted);
        n_scaled += ends_with(param->name, "c_proj.weight");
    }
    assert_int_equal(n_scaled, 24);
    weir_arena_release(&arena);
}

static void matrices_and_tables_decay_and_nothing_else(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph = graph_build(&weir_model_gpt2, &arena);
    int n_decayed = 0;
    for (int i = 0; i < graph->n_params; i++) {
        if (graph->params[i].decay != (graph->params[i].shape.n_dims == 2))
            fail_msg("weight decay of '%s' is %d", graph->params[i].name, (int)graph->params[i].decay);
        n_decayed += graph->params[i].decay;
    }
    assert_int_equal(n_decayed, 2 + 4 * 12);
    assert_int_equal(graph->params[0].n_uses, 2); /* wte: the embedding and the head */
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrices_start_small_and_residual_projections_smaller),
        cmocka_unit_test(matrices_and_tables_decay_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
