/* CUDA rows, emulated or on a device: no row swallows a NaN, forward or backward.   labels: pure */
#include "tests/support/testing.h"

#include "device_rig.h"
#include "kernels/op_rows.h"
#include "rows_device.h"
#include "tests/stand_ins/cuda_on_cpu/cuda_kernels.h"
#include "tests/support/nan_flow.h"
#include "tests/support/op_cases.h"

#define F32(n, ...) {n, {__VA_ARGS__}, WEIR_DTYPE_F32}

static const struct {
    struct op_case c;
    struct weir_sequence at;
} places[] = {
    {{"one row", &weir_op_attention_cached, {.cached = {.n_heads = 2, .n_positions = 9}}, 1, {F32(3, 1, 1, 6 * 5)}}, {4, 1}},
    {{"groups, apart, padding", &weir_op_attention_cached, {.cached = {.n_heads = 4, .kv_heads = 2, .n_positions = 20}}, 3,
      {F32(3, 1, 4, 4 * 3), F32(3, 1, 4, 2 * 3), F32(3, 1, 4, 2 * 3)}}, {11, 3}},
    {{"several spans", &weir_op_attention_cached, {.cached = {.n_heads = 1, .n_positions = 300}}, 1, {F32(3, 1, 1, 3 * 4)}}, {270, 1}},
    {{"of two rows", &weir_op_last_row, {0}, 1, {F32(3, 1, 3, 7)}}, {7, 2}},
};

static weir_status rig_run(void *rig, enum weir_pass pass)
{
    return device_rig_run(rig, pass, NULL, false);
}

static void case_check(struct twin_device *on, const struct op_case *c, const struct weir_sequence *at,
                       enum weir_dtype type)
{
    struct op_rig rig;
    struct device_rig device;
    op_rig_open(&rig, c, 1, 42, 0);
    rig.full.sequence = at;
    device_rig_open(&device, on, &rig, type);
    struct weir_tensor cache = {.data = device.full.cache, .code = device.full.output.code};
    size_t n = rig.shapes.cache_bytes / weir_dtype_bytes(type);
    for (size_t i = 0; i < n; i++)
        device_rig_put(&cache, (int64_t)i, (float)(i % 11) / 8 - 0.5f);
    struct nan_flow flow = {.c = c, .kernels = cuda_kernels(c->op), .full = &device.full, .cache_bytes = rig.shapes.cache_bytes,
                            .rig = &device, .run = rig_run, .get = device_rig_element, .put = device_rig_put};
    nan_flow_check(&flow);
    device_rig_close(&device);
    op_rig_close(&rig);
}

static void a_nan_stays_a_nan_in_every_row(void **state)
{
    for (const struct op_case *c = op_cases; c->sentence; c++)
        case_check(*state, c, NULL, WEIR_DTYPE_F32);
}

/* Every other case: the kernels are the same but for loads and stores. */
static void a_nan_stays_a_nan_in_bf16(void **state)
{
    for (const struct op_case *c = op_cases; c->sentence && c[1].sentence; c += 2)
        case_check(*state, c, NULL, WEIR_DTYPE_BF16);
}

static void a_nan_stays_a_nan_in_rows_of_generation(void **state)
{
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        case_check(*state, &places[i].c, &places[i].at, WEIR_DTYPE_F32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nan_stays_a_nan_in_every_row),
        cmocka_unit_test(a_nan_stays_a_nan_in_bf16),
        cmocka_unit_test(a_nan_stays_a_nan_in_rows_of_generation),
    };
    if (!rows_device_there())
        return 0;
    return cmocka_run_group_tests(tests, rows_device_open, rows_device_close);
}
