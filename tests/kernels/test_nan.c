/* operations: no row swallows a NaN, forward or backward.   labels: pure */
#include "tests/support/testing.h"

#include "kernels/op_rows.h"
#include "tests/support/nan_flow.h"
#include "tests/support/op_cases.h"
#include "tests/support/row_kernels.h"

#define F32(n, ...) {n, {__VA_ARGS__}, WEIR_DTYPE_F32}
#define I32(n, ...) {n, {__VA_ARGS__}, WEIR_DTYPE_I32}

/* Rows of generation, in the middle of a sequence. */
static const struct {
    struct op_case c;
    struct weir_sequence at;
} places[] = {
    {{"packed", &weir_op_attention_cached, {.cached = {.n_heads = 2, .n_positions = 9}}, 1, {F32(3, 1, 3, 6 * 5)}}, {4, 3}},
    {{"the first position", &weir_op_attention_cached, {.cached = {.n_heads = 1, .n_positions = 5}}, 1, {F32(3, 1, 1, 3 * 8)}}, {0, 1}},
    {{"groups, apart, padding", &weir_op_attention_cached, {.cached = {.n_heads = 4, .kv_heads = 2, .n_positions = 20}}, 3,
      {F32(3, 1, 4, 4 * 3), F32(3, 1, 4, 2 * 3), F32(3, 1, 4, 2 * 3)}}, {11, 3}},
    {{"tokens and positions", &weir_op_embedding, {.embedding = {.vocabulary = 17, .n_positions = 9, .out_features = 5}}, 1,
      {I32(2, 1, 5)}}, {3, 4}},
    {{"far from the start", &weir_op_rope, {.rope = {.n_heads = 3, .rope = {.theta = 10000}}}, 1, {F32(3, 1, 3, 3 * 10)}}, {40, 3}},
    {{"of two rows", &weir_op_last_row, {0}, 1, {F32(3, 1, 3, 7)}}, {7, 2}},
};

static weir_status rig_run(void *rig, enum weir_pass pass)
{
    return op_rig_run(rig, pass, NULL, false);
}

static float float_get(const struct weir_tensor *tensor, int64_t i)
{
    return ((const float *)tensor->data)[i];
}

static void float_put(const struct weir_tensor *tensor, int64_t i, float value)
{
    ((float *)tensor->data)[i] = value;
}

static void case_check(const struct op_case *c, const struct weir_sequence *at)
{
    struct op_rig rig;
    op_rig_open(&rig, c, 1, 41, 0);
    rig.full.sequence = at;
    for (size_t i = 0; i < rig.shapes.cache_bytes / sizeof(float); i++)
        ((float *)rig.full.cache)[i] = (float)(i % 11) / 8 - 0.5f;
    struct nan_flow flow = {.c = c, .kernels = cpu_kernels(c->op), .full = &rig.full, .cache_bytes = rig.shapes.cache_bytes,
                            .rig = &rig, .run = rig_run, .get = float_get, .put = float_put};
    nan_flow_check(&flow);
    op_rig_close(&rig);
}

static void a_nan_stays_a_nan_in_every_row(void **state)
{
    (void)state;
    for (const struct op_case *c = op_cases; c->sentence; c++)
        case_check(c, NULL);
}

static void a_nan_stays_a_nan_in_rows_of_generation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        case_check(&places[i].c, &places[i].at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nan_stays_a_nan_in_every_row),
        cmocka_unit_test(a_nan_stays_a_nan_in_rows_of_generation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
