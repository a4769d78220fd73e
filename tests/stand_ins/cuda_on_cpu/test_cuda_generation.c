/* CUDA rows in a generator, emulated or on a device: each against the CPU's row, wherever its rows stand in their sequence,
 * with padding behind them.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "device_rig.h"
#include "kernels/op_rows.h"
#include "rows_device.h"
#include "rows_findings.h"

/* Of the largest value.  A device multiplies and adds in one rounding and has math functions of its own. */
#ifdef WEIR_ROWS_ON_DEVICE
static const double near_f32 = 2e-5, near_bf16 = 6e-3;
#else
static const double near_f32 = 4e-6, near_bf16 = 6e-3;
#endif

#define F32(n, ...) {n, {__VA_ARGS__}, WEIR_DTYPE_F32}
#define I32(n, ...) {n, {__VA_ARGS__}, WEIR_DTYPE_I32}
#define CACHED &weir_op_attention_cached

/* A call in the middle of a sequence. */
struct place_case {
    struct op_case c;
    struct weir_sequence at;
};

/* A span is 128 keys long up to 32 rows, 256 from there to 64; a block has 1 query or 4. */
static const struct place_case cases[] = {
    {{"the first position", CACHED, {.cached = {.n_heads = 2, .n_positions = 7}}, 1, {F32(3, 1, 1, 6 * 32)}}, {0, 1}},
    {{"the last key of a span", CACHED, {.cached = {.n_heads = 3, .n_positions = 200}}, 1, {F32(3, 1, 1, 9 * 5)}}, {127, 1}},
    {{"the first key of a span", CACHED, {.cached = {.n_heads = 1, .n_positions = 129}}, 1, {F32(3, 1, 1, 3 * 64)}}, {128, 1}},
    {{"many spans", CACHED, {.cached = {.n_heads = 2, .n_positions = 700}}, 1, {F32(3, 1, 1, 6 * 3)}}, {641, 1}},
    {{"a head of one", CACHED, {.cached = {.n_heads = 4, .n_positions = 40}}, 1, {F32(3, 1, 3, 12)}}, {30, 3}},
    {{"groups, apart, spans within a tile, padding", CACHED, {.cached = {.n_heads = 4, .kv_heads = 2, .n_positions = 140}}, 3,
      {F32(3, 1, 6, 4 * 33), F32(3, 1, 6, 2 * 33), F32(3, 1, 6, 2 * 33)}}, {126, 5}},
    {{"six heads on one, to the last position", CACHED, {.cached = {.n_heads = 6, .kv_heads = 1, .n_positions = 258}}, 1,
      {F32(3, 1, 3, 8 * 24)}}, {255, 3}},
    {{"three heads on one, one row", CACHED, {.cached = {.n_heads = 3, .kv_heads = 1, .n_positions = 50}}, 1, {F32(3, 1, 1, 5 * 40)}},
     {33, 1}},
    {{"one row of seven", CACHED, {.cached = {.n_heads = 2, .n_positions = 60}}, 1, {F32(3, 1, 7, 6 * 96)}}, {40, 1}},
    {{"one row of a wide head", CACHED, {.cached = {.n_heads = 1, .n_positions = 30}}, 1, {F32(3, 1, 1, 3 * 128)}}, {20, 1}},
    {{"rows of a wide head", CACHED, {.cached = {.n_heads = 1, .n_positions = 30}}, 1, {F32(3, 1, 5, 3 * 127)}}, {20, 5}},
    {{"one row of the widest head", CACHED, {.cached = {.n_heads = 1, .n_positions = 30}}, 1, {F32(3, 1, 1, 3 * 256)}}, {20, 1}},
    {{"rows of the widest head", CACHED, {.cached = {.n_heads = 2, .kv_heads = 1, .n_positions = 30}}, 1, {F32(3, 1, 2, 4 * 256)}},
     {20, 2}},
    {{"a head in two parts", CACHED, {.cached = {.n_heads = 1, .n_positions = 9}}, 1, {F32(3, 1, 2, 3 * 301)}}, {5, 2}},
    {{"spans of 256", CACHED, {.cached = {.n_heads = 1, .n_positions = 300}}, 1, {F32(3, 1, 33, 3 * 2)}}, {240, 30}},
    {{"tokens and positions", &weir_op_embedding, {.embedding = {.vocabulary = 17, .n_positions = 9, .out_features = 35}}, 1,
      {I32(2, 1, 5)}}, {6, 3}},
    {{"tokens alone", &weir_op_embedding, {.embedding = {.vocabulary = 5, .out_features = 3}}, 1, {I32(2, 1, 3)}}, {1000, 2}},
    {{"far from the start", &weir_op_rope, {.rope = {.n_heads = 3, .rope = {.theta = 10000}}}, 1, {F32(3, 1, 3, 3 * 10)}}, {4000, 2}},
    {{"longer texts", &weir_op_rope,
      {.rope = {.n_heads = 1,
       .rope = {.theta = 5e5, .scaling = WEIR_ROPE_LLAMA3, .factor = 8, .low = 1, .high = 4, .original = 64}}}, 1,
      {F32(3, 1, 2, 16)}}, {129, 2}},
    {{"of all rows", &weir_op_last_row, {0}, 1, {F32(3, 1, 3, 5)}}, {7, 3}},
    {{"of two rows", &weir_op_last_row, {0}, 1, {F32(3, 1, 3, 300)}}, {7, 2}},
};
enum { CASES = sizeof cases / sizeof cases[0] };

/* What repeats the f32 cases takes every third under the sanitizers, where fibers are slow. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STRIDE = 3 };
#else
enum { STRIDE = 1 };
#endif

struct rigs {
    struct op_rig cpu;
    struct device_rig device;
    struct weir_sequence at;
    struct weir_tensor cpu_cache, device_cache;
};

static void rigs_open(struct rigs *r, struct twin_device *on, const struct op_case *c, enum weir_dtype type,
                      struct weir_sequence at)
{
    op_rig_open(&r->cpu, c, 1, 31, 0);
    device_rig_open(&r->device, on, &r->cpu, type);
    r->at = at;
    r->cpu.full.sequence = r->device.full.sequence = &r->at;
    r->cpu_cache = (struct weir_tensor){.data = r->cpu.full.cache, .code = 2};
    r->device_cache = (struct weir_tensor){.data = r->device.full.cache, .code = r->device.full.output.code};
}

static void rigs_close(struct rigs *r)
{
    device_rig_close(&r->device);
    op_rig_close(&r->cpu);
}

/* Value `i` of what comes at `position`; the same on both sides in the device's type. */
static float value_put(const struct weir_tensor *to, int64_t at, int64_t position, int64_t i)
{
    device_rig_put(to, at, weir_rng_normal(77 + (uint64_t)position, (uint64_t)i));
    return device_rig_element(to, at);
}

/* What the calls before have left: all positions before the first row. */
static void cache_fill(struct rigs *r)
{
    const struct weir_attention_cached_attr *attr = r->cpu.full.attr;
    int64_t heads = attr->kv_heads ? attr->kv_heads : attr->n_heads, d = r->cpu.shapes.output.dims[2] / attr->n_heads;
    for (int64_t head = 0; head < 2 * heads; head++)
        for (int64_t i = 0; i < r->at.position * d; i++) {
            int64_t at = head * attr->n_positions * d + i;
            ((float *)r->cpu_cache.data)[at] = value_put(&r->device_cache, at, i / d, head * d + i % d);
        }
}

/* The rows of the call; padding is NaN, which nothing may read. */
static void inputs_fill(struct rigs *r)
{
    for (int k = 0; k < r->cpu.full.n_inputs; k++) {
        const struct weir_tensor *to = &r->device.full.inputs[k];
        int64_t width = to->shape[2];
        for (int64_t i = 0; i < weir_tensor_elements(to); i++) {
            int64_t row = i / width;
            if (row >= r->at.n_rows)
                device_rig_put(to, i, NAN);
            float value = row < r->at.n_rows ? value_put(to, i, r->at.position + row, 1000 * (k + 1) + i % width) : 0;
            ((float *)r->cpu.full.inputs[k].data)[i] = value;
        }
    }
}

/* The cache has the rows' keys and values behind those that were there, and nothing else has changed. */
static void cache_check(const struct op_case *c, const struct rigs *r)
{
    int64_t n = (int64_t)r->cpu.shapes.cache_bytes / 4, d = r->cpu.shapes.output.dims[2] / c->attr.cached.n_heads;
    const float *wanted = r->cpu_cache.data;
    for (int64_t i = 0; i < n; i++) {
        float got = device_rig_element(&r->device_cache, i);
        bool there = i / d % c->attr.cached.n_positions < r->at.position + r->at.n_rows;
        if (there ? got != wanted[i] : !isnan(got))
            rows_fail("%s: element %ld of the cache is %g, it should be %g", c->sentence, (long)i, (double)got,
                     there ? (double)wanted[i] : (double)NAN);
    }
}

static void case_check(struct twin_device *on, const struct place_case *place, enum weir_dtype type)
{
    struct rigs r;
    rigs_open(&r, on, &place->c, type, place->at);
    if (r.cpu.full.cache) {
        inputs_fill(&r);
        cache_fill(&r);
    }
    assert_ok(op_rig_run(&r.cpu, WEIR_FORWARD, NULL, false));
    bool ran = rows_ran(&place->c, "forward", device_rig_run(&r.device, WEIR_FORWARD, NULL, false));
    if (ran)
        rows_compare(&place->c, "output", &r.device.full.output, r.cpu.full.output.data,
                     weir_tensor_elements(&r.cpu.full.output), type == WEIR_DTYPE_BF16 ? near_bf16 : near_f32);
    if (ran && r.cpu.full.cache)
        cache_check(&place->c, &r);
    rigs_close(&r);
}

static void rows_in_f32_follow_the_cpu(void **state)
{
    for (int i = 0; i < CASES; i++)
        if (rows_case_runs(i))
            case_check(*state, &cases[i], WEIR_DTYPE_F32);
}

static void rows_in_bf16_follow_the_cpu(void **state)
{
    for (int i = 0; i < CASES; i += STRIDE)
        if (rows_case_runs(i))
            case_check(*state, &cases[i], WEIR_DTYPE_BF16);
}

/* Emulated, the second run has the opposite order of threads and blocks. */
static void two_runs_give_the_same_bits(void **state)
{
    for (int i = 0; i < CASES; i += STRIDE) {
        struct rigs r;
        rigs_open(&r, *state, &cases[i].c, WEIR_DTYPE_F32, cases[i].at);
        size_t bytes = weir_shape_bytes(&r.cpu.shapes.output);
        float *first = malloc(bytes);
        if (r.cpu.full.cache) {
            inputs_fill(&r);
            cache_fill(&r);
        }
        assert_ok(device_rig_run(&r.device, WEIR_FORWARD, NULL, false));
        memcpy(first, r.device.full.output.data, bytes);
        rows_order_set(true);
        assert_ok(device_rig_run(&r.device, WEIR_FORWARD, NULL, false));
        rows_order_set(false);
        assert_memory_equal(first, r.device.full.output.data, bytes);
        free(first);
        rigs_close(&r);
    }
}

/* Rows 126 to 130, one call each or all in one: keys that others of a block see add nothing to a row that does not. */
static void a_row_has_the_same_bits_alone_and_among_others(void **state)
{
    enum { FIRST = 126, ROWS = 5, WIDTH = 2 * 20 };
    static const struct op_case one = {"alone", CACHED, {.cached = {.n_heads = 2, .n_positions = 150}}, 1, {F32(3, 1, 1, 3 * WIDTH)}};
    static const struct op_case all = {"together", CACHED, {.cached = {.n_heads = 2, .n_positions = 150}}, 1, {F32(3, 1, ROWS, 3 * WIDTH)}};
    struct rigs alone, together;
    rigs_open(&together, *state, &all, WEIR_DTYPE_F32, (struct weir_sequence){FIRST, ROWS});
    inputs_fill(&together);
    cache_fill(&together);
    assert_ok(device_rig_run(&together.device, WEIR_FORWARD, NULL, false));
    rigs_open(&alone, *state, &one, WEIR_DTYPE_F32, (struct weir_sequence){FIRST, 1});
    cache_fill(&alone);
    const float *y = together.device.full.output.data;
    for (int row = 0; row < ROWS; row++, alone.at.position++, y += WIDTH) {
        inputs_fill(&alone);
        assert_ok(device_rig_run(&alone.device, WEIR_FORWARD, NULL, false));
#ifdef WEIR_ROWS_ON_DEVICE /* where the two kernels may contract their sums differently */
        rows_compare(&one, "output", &alone.device.full.output, y, WIDTH, near_f32);
#else
        assert_memory_equal(alone.device.full.output.data, y, WIDTH * sizeof *y);
#endif
    }
    rigs_close(&alone);
    rigs_close(&together);
}

static void what_does_not_fit_is_refused(void **state)
{
    struct rigs r;
    rigs_open(&r, *state, &cases[2].c, WEIR_DTYPE_F32, (struct weir_sequence){129, 1});
    assert_fails(device_rig_run(&r.device, WEIR_FORWARD, NULL, false), WEIR_ERR_INVALID, "129 to 129 do not fit a cache of 129");
    r.at = (struct weir_sequence){0, 2};
    assert_fails(device_rig_run(&r.device, WEIR_FORWARD, NULL, false), WEIR_ERR_INVALID, "do not fit");
    r.device.full.sequence = NULL;
    assert_fails(device_rig_run(&r.device, WEIR_FORWARD, NULL, false), WEIR_ERR_INVALID, "generator only");
    rigs_close(&r);
    rigs_open(&r, *state, &cases[15].c, WEIR_DTYPE_F32, (struct weir_sequence){6, 4});
    assert_fails(device_rig_run(&r.device, WEIR_FORWARD, NULL, false), WEIR_ERR_INVALID, "position 9 is past the table's 9");
    rigs_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(rows_in_f32_follow_the_cpu, rows_findings_check),
        cmocka_unit_test_teardown(rows_in_bf16_follow_the_cpu, rows_findings_check),
        cmocka_unit_test(two_runs_give_the_same_bits),
        cmocka_unit_test_teardown(a_row_has_the_same_bits_alone_and_among_others, rows_findings_check),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return rows_device_there() ? cmocka_run_group_tests(tests, rows_device_open, rows_device_close) : 0;
}
