/* Rows of generation: attention over a cache, against a plain sum in double precision.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "include/weir/op.h"
#include "kernels/op_rows.h"
#include "tests/support/row_kernels.h"

enum { POSITIONS = 13, ROWS = 5 };

/* Values of the whole sequence: element `i` of `what` at `position`. */
static float value_at(int what, int64_t position, int64_t i)
{
    return 4 * weir_rng_unit(weir_rng_philox(11, (uint32_t)i, (uint32_t)position, (uint32_t)what, 0).v[0]) - 2;
}

struct shape {
    const char *sentence;
    int64_t heads, kv_heads, d;
    bool packed;
};

static const struct shape shapes[] = {
    {"q, k and v in one", 3, 3, 16, true},    {"a head that is no whole vector", 2, 2, 5, true},
    {"a head of one", 4, 4, 1, true},         {"q, k and v apart", 2, 2, 8, false},
    {"four heads on two", 4, 2, 12, false},   {"six heads on one", 6, 1, 9, false},
    {"six heads on three", 6, 3, 33, false},
    {"four heads on two in one", 4, 2, 7, true},
};

/* Head h at position p over positions 0..p. */
static void reference(const struct shape *s, int64_t p, int64_t h, double *y)
{
    double most = -HUGE_VAL, total = 0, scores[POSITIONS];
    int64_t g = h / (s->heads / s->kv_heads);
    for (int64_t j = 0; j <= p; j++) {
        scores[j] = 0;
        for (int64_t i = 0; i < s->d; i++)
            scores[j] += (double)value_at(0, p, h * s->d + i) * (double)value_at(1, j, g * s->d + i);
        scores[j] /= sqrt((double)s->d);
        most = scores[j] > most ? scores[j] : most;
    }
    for (int64_t i = 0; i < s->d; i++)
        y[i] = 0;
    for (int64_t j = 0; j <= p; j++) {
        double weight = exp(scores[j] - most);
        total += weight;
        for (int64_t i = 0; i < s->d; i++)
            y[i] += weight * (double)value_at(2, j, g * s->d + i);
    }
    for (int64_t i = 0; i < s->d; i++)
        y[i] /= total;
}

struct rig {
    struct weir_attention_cached_attr attr;
    struct weir_op_shapes shapes;
    struct weir_op_call call;
    struct weir_sequence at;
    float inputs[3][ROWS * 3 * 128], output[ROWS * 256];
};

static void rig_open(struct rig *rig, const struct shape *s, int64_t rows, int threads)
{
    int64_t widths[3] = {(s->heads + (s->packed ? 2 * s->kv_heads : 0)) * s->d, s->kv_heads * s->d, s->kv_heads * s->d};
    memset(rig, 0, sizeof *rig);
    rig->attr = (struct weir_attention_cached_attr){.n_heads = s->heads, .kv_heads = s->kv_heads, .n_positions = POSITIONS};
    rig->shapes.attr = &rig->attr;
    rig->shapes.n_inputs = s->packed ? 1 : 3;
    for (int i = 0; i < rig->shapes.n_inputs; i++)
        rig->shapes.inputs[i] = (struct weir_shape){3, {1, rows, widths[i]}, WEIR_DTYPE_F32};
    assert_ok(weir_op_attention_cached.infer(&rig->shapes));
    assert_int_equal(rig->shapes.cache_bytes, 2 * s->kv_heads * POSITIONS * s->d * 4);
    struct weir_op_call *call = &rig->call;
    call->op = &weir_op_attention_cached;
    call->attr = &rig->attr;
    call->n_inputs = rig->shapes.n_inputs;
    for (int i = 0; i < call->n_inputs; i++)
        call->inputs[i] = weir_tensor_view(rig->inputs[i], &rig->shapes.inputs[i]);
    call->output = weir_tensor_view(rig->output, &rig->shapes.output);
    call->sequence = &rig->at;
    call->cache = malloc(rig->shapes.cache_bytes);
    call->scratch = malloc(cpu_kernels(call->op)->scratch_bytes(&rig->shapes, WEIR_FORWARD, threads));
    assert_ok(weir_kernel_context_open(threads, &call->context));
}

static void rig_close(struct rig *rig)
{
    weir_kernel_context_close(rig->call.context);
    free(rig->call.cache);
    free(rig->call.scratch);
}

static void rows_fill(struct rig *rig, const struct shape *s, int64_t rows)
{
    for (int64_t t = 0; t < rows; t++)
        for (int what = 0; what < 3; what++) {
            int64_t width = (what ? s->kv_heads : s->heads) * s->d, whole = (s->heads + 2 * s->kv_heads) * s->d;
            int64_t part = what == 0 ? 0 : what == 1 ? s->heads * s->d : (s->heads + s->kv_heads) * s->d;
            float *to = s->packed ? rig->inputs[0] + t * whole + part : rig->inputs[what] + t * width;
            for (int64_t i = 0; i < width; i++)
                to[i] = value_at(what, rig->at.position + t, i);
        }
}

/* The sequence in calls of `rows` rows, the last one padded: every row against the sum. */
static void sequence_check(const struct shape *s, int64_t rows, int threads)
{
    static struct rig rig;
    double wanted[64];
    rig_open(&rig, s, rows, threads);
    for (int64_t p = 0; p < POSITIONS; p += rows) {
        rig.at = (struct weir_sequence){p, POSITIONS - p < rows ? POSITIONS - p : rows};
        rows_fill(&rig, s, rows);
        assert_ok(cpu_kernels(rig.call.op)->forward(&rig.call, NULL));
        for (int64_t t = 0; t < rows; t++)
            for (int64_t h = 0; h < s->heads; h++) {
                const float *y = rig.output + (t * s->heads + h) * s->d;
                reference(s, p + t < POSITIONS ? p + t : 0, h, wanted);
                for (int64_t i = 0; i < s->d; i++)
                    if (!(fabs((double)y[i] - (t < rig.at.n_rows ? wanted[i] : 0)) < 1e-5))
                        fail_msg("%s, %d rows at a time: head %d of position %d, element %d: %g, should be %g", s->sentence,
                                 (int)rows, (int)h, (int)(p + t), (int)i, (double)y[i], wanted[i]);
            }
    }
    rig_close(&rig);
}

static void every_row_is_a_softmax_over_all_positions_before_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int64_t rows = 1; rows <= ROWS; rows++)
            sequence_check(&shapes[i], rows, rows == 3 ? 2 : 1);
}

static void a_cache_is_never_overrun(void **state)
{
    (void)state;
    static struct rig rig;
    rig_open(&rig, &shapes[0], 2, 1);
    rig.at = (struct weir_sequence){POSITIONS - 1, 2};
    assert_fails(cpu_kernels(rig.call.op)->forward(&rig.call, NULL), WEIR_ERR_INVALID, "12 to 13 do not fit a cache of 13");
    rig.call.sequence = NULL;
    assert_fails(cpu_kernels(rig.call.op)->forward(&rig.call, NULL), WEIR_ERR_INVALID, "generator only");
    rig_close(&rig);
}

static void wrong_shapes_are_named(void **state)
{
    (void)state;
    struct weir_attention_cached_attr attr = {.n_heads = 4, .kv_heads = 3, .n_positions = 8};
    struct weir_op_shapes s = {.attr = &attr, .n_inputs = 3};
    for (int i = 0; i < 3; i++)
        s.inputs[i] = (struct weir_shape){3, {1, 2, 16}, WEIR_DTYPE_F32};
    assert_fails(weir_op_attention_cached.infer(&s), WEIR_ERR_INVALID, "must divide them");
    attr.kv_heads = 2;
    assert_fails(weir_op_attention_cached.infer(&s), WEIR_ERR_INVALID, "input 1 of 'attention_cached' is (1, 2, 16)");
    s.inputs[1].dims[2] = s.inputs[2].dims[2] = 8;
    assert_ok(weir_op_attention_cached.infer(&s));
    s.inputs[0].dims[0] = 2;
    assert_fails(weir_op_attention_cached.infer(&s), WEIR_ERR_INVALID, "input 0");
    s.n_inputs = 2;
    assert_fails(weir_op_attention_cached.infer(&s), WEIR_ERR_INVALID, "3");
}

static void the_last_row_is_that_of_the_sequence(void **state)
{
    (void)state;
    struct weir_op_shapes s = {.n_inputs = 1, .inputs = {{3, {1, 3, 2}, WEIR_DTYPE_F32}}};
    struct weir_sequence at = {5, 2};
    float x[] = {1, 2, 3, 4, 5, 6}, y[2];
    assert_ok(weir_op_last_row.infer(&s));
    struct weir_op_call call = {.n_inputs = 1, .sequence = &at};
    call.inputs[0] = weir_tensor_view(x, &s.inputs[0]);
    call.output = weir_tensor_view(y, &s.output);
    assert_ok(cpu_kernels(&weir_op_last_row)->forward(&call, NULL));
    assert_true(y[0] == 3 && y[1] == 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_a_softmax_over_all_positions_before_it),
        cmocka_unit_test(a_cache_is_never_overrun),
        cmocka_unit_test(wrong_shapes_are_named),
        cmocka_unit_test(the_last_row_is_that_of_the_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
