/* operations: every row of the table against a float64 reference and its finite differences.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/op_rows.h"
#include "tests/support/op_cases.h"
#include "tests/support/row_kernels.h"
#include "weir_libraries.h"

enum { MOST_ELEMENTS = 8192 };

/* |got - wanted| <= tolerance * (largest |wanted|, at least 1) for all elements. */
static void assert_near(const struct op_case *c, const char *what, int64_t n, const float *got, const double *wanted,
                        double tolerance)
{
    double most = 1;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(wanted[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - wanted[i]) <= tolerance * most))
            fail_msg("%s, %s: %s[%ld] is %.9g, it should be %.9g", c->op->name, c->sentence, what, (long)i,
                     (double)got[i], wanted[i]);
}

static void assert_same_bits(const struct op_case *c, const char *what, const void *a, const void *b, size_t bytes)
{
    for (size_t i = 0; i + 4 <= bytes; i += 4)
        if (memcmp((const char *)a + i, (const char *)b + i, 4) != 0)
            fail_msg("%s, %s: %s differs in element %zu", c->op->name, c->sentence, what, i / 4);
}

static void every_row_is_whole_and_has_cases(void **state)
{
    (void)state;
    for (int i = 0; weir_ops[i]; i++) {
        const struct weir_op *op = weir_ops[i], *found;
        const struct weir_op_kernels *on_cuda;
        assert_ok(weir_op_find(op->name, &found));
        assert_ptr_equal(found, op);
        assert_int_equal(op->struct_bytes, sizeof *op);
        assert_true(op->summary && op->infer && cpu_kernels(op)->forward);
        assert_int_equal(weir_op_kernels_find(op, "cuda", &on_cuda) == WEIR_OK, WEIR_HAVE_CUDA);
        if (!reference_find(op->name))
            fail_msg("'%s' has no reference", op->name);
        int n = 0;
        for (const struct op_case *c = op_cases; c->sentence; c++)
            n += c->op == op;
        if (n < 2)
            fail_msg("'%s' has %d cases", op->name, n);
        if (op->flags & (WEIR_OP_SUM | WEIR_OP_LOSS))
            assert_null(cpu_kernels(op)->backward_input);
    }
}

static void forward_follows_the_reference(void **state)
{
    (void)state;
    for (const struct op_case *c = op_cases; c->sentence; c++) {
        struct op_rig rig;
        double wanted[MOST_ELEMENTS];
        op_rig_open(&rig, c, 1, 1, 0);
        assert_ok(op_rig_run(&rig, WEIR_FORWARD, NULL, false));
        for (int i = 0; i < rig.shapes.n_outputs; i++) {
            op_rig_reference(&rig, i, wanted);
            if (c->op->flags & WEIR_OP_LOSS)
                assert_true(fabs(*(double *)rig.full.output.data - wanted[0]) <= 1e-6 * fabs(wanted[0]));
            else
                assert_near(c, "output", weir_shape_elements(&rig.shapes.outputs[i]), rig.full.outputs[i].data, wanted, 3e-6);
        }
        op_rig_close(&rig);
    }
}

static void input_gradients_follow_finite_differences(void **state)
{
    (void)state;
    for (const struct op_case *c = op_cases; c->sentence; c++) {
        struct op_rig rig;
        double wanted[MOST_ELEMENTS];
        bool loss = c->op->flags & WEIR_OP_LOSS;
        if (!loss && !cpu_kernels(c->op)->backward_input)
            continue;
        op_rig_open(&rig, c, 1, 2, 0);
        assert_ok(op_rig_run(&rig, WEIR_FORWARD, NULL, false));
        if (!loss)
            assert_ok(op_rig_run(&rig, WEIR_BACKWARD_INPUT, NULL, false));
        for (int i = 0; i < (loss ? 1 : c->n_inputs); i++) {
            op_rig_differences(&rig, false, i, wanted);
            assert_near(c, "d_input", weir_shape_elements(&rig.shapes.inputs[i]), rig.full.d_inputs[i].data, wanted, 3e-6);
        }
        op_rig_close(&rig);
    }
}

static void weight_gradients_follow_finite_differences(void **state)
{
    (void)state;
    for (const struct op_case *c = op_cases; c->sentence; c++) {
        struct op_rig rig;
        double wanted[MOST_ELEMENTS];
        op_rig_open(&rig, c, 1, 3, 0);
        for (int i = 0; i < rig.shapes.n_params; i++) {
            if (i == 0)
                assert_ok(op_rig_run(&rig, WEIR_FORWARD, NULL, false));
            memset(rig.full.d_params[i].data, 0xff, weir_shape_bytes(&rig.shapes.params[i]));
            assert_ok(op_rig_run(&rig, WEIR_BACKWARD_WEIGHT, NULL, false));
            op_rig_differences(&rig, true, i, wanted);
            assert_near(c, "d_param", weir_shape_elements(&rig.shapes.params[i]), rig.full.d_params[i].data, wanted,
                        3e-6);
        }
        op_rig_close(&rig);
    }
}

/* The gradient of input `i` with an addend apart from it, and with one that it overwrites. */
static void addend_check(const struct op_case *c, struct op_rig *rig, int i)
{
    int64_t n = weir_shape_elements(&rig->shapes.inputs[i]);
    float *addend = op_rig_block(rig, (size_t)n * 4), *apart = op_rig_block(rig, (size_t)n * 4);
    float *dx = rig->full.d_inputs[i].data;
    const void *addends[WEIR_OP_INPUTS] = {NULL};
    double wanted[MOST_ELEMENTS];
    for (int64_t k = 0; k < n; k++)
        addend[k] = (float)(k % 7) - 3.0f;
    assert_ok(op_rig_run(rig, WEIR_FORWARD, NULL, false));
    assert_ok(op_rig_run(rig, WEIR_BACKWARD_INPUT, NULL, false));
    for (int64_t k = 0; k < n; k++)
        wanted[k] = (double)addend[k] + (double)dx[k];
    addends[i] = addend;
    assert_ok(op_rig_run_adding(rig, WEIR_BACKWARD_INPUT, addends, false));
    assert_near(c, "d_input", n, dx, wanted, 1e-6);
    memcpy(apart, dx, (size_t)n * 4);
    memcpy(dx, addend, (size_t)n * 4);
    addends[i] = dx;
    assert_ok(op_rig_run_adding(rig, WEIR_BACKWARD_INPUT, addends, false));
    assert_same_bits(c, "d_input over its addend", dx, apart, (size_t)n * 4);
}

static void an_addend_is_added_whether_or_not_it_is_the_gradient_itself(void **state)
{
    (void)state;
    for (const struct op_case *c = op_cases; c->sentence; c++)
        for (int i = 0; i < c->n_inputs && cpu_kernels(c->op)->backward_input; i++) {
            struct op_rig rig;
            op_rig_open(&rig, c, 1, 4, 0);
            addend_check(c, &rig, i);
            op_rig_close(&rig);
        }
}

/* An input whose gradient nobody wants: the others keep theirs. */
static void a_gradient_that_nobody_wants_is_left_out(void **state)
{
    (void)state;
    for (const struct op_case *c = op_cases; c->sentence; c++)
        for (int left = 0; c->n_inputs > 1 && left < c->n_inputs && cpu_kernels(c->op)->backward_input; left++) {
            struct op_rig all, rig;
            op_rig_open(&all, c, 1, 4, 0);
            op_rig_open(&rig, c, 1, 4, 0);
            assert_ok(op_rig_run(&all, WEIR_FORWARD, NULL, false));
            assert_ok(op_rig_run(&rig, WEIR_FORWARD, NULL, false));
            rig.full.d_inputs[left].data = NULL;
            assert_ok(op_rig_run(&all, WEIR_BACKWARD_INPUT, NULL, false));
            assert_ok(op_rig_run(&rig, WEIR_BACKWARD_INPUT, NULL, false));
            for (int i = 0; i < c->n_inputs; i++)
                if (i != left)
                    assert_same_bits(c, "d_input", all.full.d_inputs[i].data, rig.full.d_inputs[i].data,
                                     weir_shape_bytes(&all.shapes.inputs[i]));
            op_rig_close(&all);
            op_rig_close(&rig);
        }
}

/* An output that nobody reads: its gradient is zero, with an addend and without. */
static void a_gradient_that_is_not_there_is_zero(void **state)
{
    (void)state;
    int n = 0;
    for (const struct op_case *c = op_cases; c->sentence; c++)
        for (int added = 0; added < 2; added++) {
            struct op_rig zero, rig;
            op_rig_open(&zero, c, 1, 4, 0);
            op_rig_open(&rig, c, 1, 4, 0);
            for (int left = 0; rig.shapes.n_outputs > 1 && left < rig.shapes.n_outputs; left += 2, n++) {
                size_t bytes = weir_shape_bytes(&rig.shapes.inputs[0]);
                memset(zero.full.d_outputs[left].data, 0, weir_shape_bytes(&rig.shapes.outputs[left]));
                rig.full.d_outputs[left].data = NULL;
                memset(rig.full.d_inputs[0].data, 0xff, bytes);
                assert_ok(op_rig_run(&zero, WEIR_BACKWARD_INPUT, added ? zero.full.inputs[0].data : NULL, false));
                assert_ok(op_rig_run(&rig, WEIR_BACKWARD_INPUT, added ? rig.full.inputs[0].data : NULL, false));
                assert_same_bits(c, "d_input", rig.full.d_inputs[0].data, zero.full.d_inputs[0].data, bytes);
            }
            op_rig_close(&zero);
            op_rig_close(&rig);
        }
    assert_true(n > 8);
}

static void accumulated_weight_gradients_are_sums(void **state)
{
    (void)state;
    for (const struct op_case *c = op_cases; c->sentence; c++) {
        struct op_rig rig;
        op_rig_open(&rig, c, 1, 5, 0);
        assert_ok(op_rig_run(&rig, WEIR_FORWARD, NULL, false));
        for (int i = 0; i < rig.shapes.n_params; i++) {
            int64_t n = weir_shape_elements(&rig.shapes.params[i]);
            double wanted[MOST_ELEMENTS];
            float *d = rig.full.d_params[i].data;
            assert_ok(op_rig_run(&rig, WEIR_BACKWARD_WEIGHT, NULL, false));
            for (int64_t j = 0; j < n; j++)
                wanted[j] = (double)d[j] + (double)(j % 5);
            for (int64_t j = 0; j < n; j++)
                d[j] = (float)(j % 5);
            assert_ok(op_rig_run(&rig, WEIR_BACKWARD_WEIGHT, NULL, true));
            assert_near(c, "d_param", n, d, wanted, 1e-6);
        }
        op_rig_close(&rig);
    }
}

/* Gradients of two micro-batches, I and W in the order of `order` ("iIwW": I of 0, I of 1, W of 0, W of 1), W adding the
 * second to the first.  Results: d_inputs of both and the sum of d_params, copied to `out`. */
static size_t backward_in_order(const struct op_case *c, const char *order, char *out)
{
    struct op_rig rig[2];
    size_t used = 0;
    for (int mb = 0; mb < 2; mb++) {
        op_rig_open(&rig[mb], c, 1, 6 + (uint64_t)mb, 0);
        assert_ok(op_rig_run(&rig[mb], WEIR_FORWARD, NULL, false));
    }
    memcpy(rig[1].full.d_params, rig[0].full.d_params, sizeof rig[0].full.d_params);
    for (; *order; order++) {
        int mb = *order == 'I' || *order == 'W';
        bool input = *order == 'i' || *order == 'I';
        if (input && cpu_kernels(c->op)->backward_input)
            assert_ok(op_rig_run(&rig[mb], WEIR_BACKWARD_INPUT, NULL, false));
        if (!input && cpu_kernels(c->op)->backward_weight)
            assert_ok(op_rig_run(&rig[mb], WEIR_BACKWARD_WEIGHT, NULL, mb == 1));
    }
    for (int mb = 0; mb < 2; mb++) {
        size_t bytes = cpu_kernels(c->op)->backward_input ? weir_shape_bytes(&rig[mb].shapes.inputs[0]) : 0;
        memcpy(out + used, rig[mb].full.d_inputs[0].data ? rig[mb].full.d_inputs[0].data : out, bytes);
        used += bytes;
    }
    for (int i = 0; i < rig[0].shapes.n_params; i++) {
        memcpy(out + used, rig[0].full.d_params[i].data, weir_shape_bytes(&rig[0].shapes.params[i]));
        used += weir_shape_bytes(&rig[0].shapes.params[i]);
    }
    op_rig_close(&rig[0]);
    op_rig_close(&rig[1]);
    return used;
}

static void input_and_weight_gradients_do_not_lean_on_each_other(void **state)
{
    (void)state;
    static char first[32 * MOST_ELEMENTS], other[32 * MOST_ELEMENTS];
    for (const struct op_case *c = op_cases; c->sentence; c++) {
        size_t bytes = backward_in_order(c, "iwIW", first);
        assert_int_equal(backward_in_order(c, "iIwW", other), bytes);
        assert_same_bits(c, "gradient", first, other, bytes);
        assert_int_equal(backward_in_order(c, "wIWi", other), bytes);
        assert_same_bits(c, "gradient", first, other, bytes);
    }
}

/* Everything a case gives, in one go. */
static void all_passes(struct op_rig *rig)
{
    const struct weir_op_kernels *cpu = cpu_kernels(rig->c->op);
    assert_ok(op_rig_run(rig, WEIR_FORWARD, NULL, false));
    if (cpu->backward_input)
        assert_ok(op_rig_run(rig, WEIR_BACKWARD_INPUT, NULL, false));
    if (cpu->backward_weight) {
        assert_ok(op_rig_run(rig, WEIR_BACKWARD_WEIGHT, NULL, false));
        assert_ok(op_rig_run(rig, WEIR_BACKWARD_WEIGHT, NULL, true));
    }
}

static void assert_rigs_equal(const struct op_rig *a, const struct op_rig *b)
{
    const struct op_case *c = a->c;
    for (int i = 0; i < a->shapes.n_outputs; i++)
        assert_same_bits(c, "output", a->full.outputs[i].data, b->full.outputs[i].data, weir_shape_bytes(&a->shapes.outputs[i]));
    for (int i = 0; i < c->n_inputs; i++)
        if (a->full.d_inputs[i].data)
            assert_same_bits(c, "d_input", a->full.d_inputs[i].data, b->full.d_inputs[i].data,
                             weir_shape_bytes(&a->shapes.inputs[i]));
    for (int i = 0; i < a->shapes.n_params; i++)
        assert_same_bits(c, "d_param", a->full.d_params[i].data, b->full.d_params[i].data,
                         weir_shape_bytes(&a->shapes.params[i]));
}

static void results_do_not_depend_on_addresses(void **state)
{
    (void)state;
    for (const struct op_case *c = op_cases; c->sentence; c++)
        for (int shift = 1; shift < 64; shift += 17) {
            struct op_rig a, b;
            op_rig_open(&a, c, 1, 8, 0);
            op_rig_open(&b, c, 1, 8, shift);
            all_passes(&a);
            all_passes(&b);
            assert_rigs_equal(&a, &b);
            op_rig_close(&a);
            op_rig_close(&b);
        }
}

static void results_of_two_threads_are_reproducible(void **state)
{
    (void)state;
    for (const struct op_case *c = op_cases; c->sentence; c++) {
        struct op_rig one, a, b;
        op_rig_open(&one, c, 1, 9, 0);
        op_rig_open(&a, c, 2, 9, 0);
        op_rig_open(&b, c, 2, 9, 3);
        all_passes(&a);
        all_passes(&b);
        assert_rigs_equal(&a, &b);
        all_passes(&one);
        if (c->op != &weir_op_linear)
            assert_rigs_equal(&a, &one);
        op_rig_close(&one);
        op_rig_close(&a);
        op_rig_close(&b);
    }
}

/* Rows whose samples do not meet in any sum of forward or backward_input, except through matrix products. */
static bool samples_are_apart(const struct op_case *c)
{
    return c->op != &weir_op_linear && !(c->op->flags & WEIR_OP_LOSS) && c->inputs[0].n_dims > 1;
}

static void a_sample_alone_has_the_bits_it_has_among_others(void **state)
{
    (void)state;
    for (const struct op_case *c = op_cases; c->sentence; c++) {
        struct op_rig all;
        if (!samples_are_apart(c))
            continue;
        op_rig_open(&all, c, 1, 10, 0);
        int64_t samples = c->inputs[0].dims[0];
        bool backward = cpu_kernels(c->op)->backward_input != NULL;
        assert_ok(op_rig_run(&all, WEIR_FORWARD, NULL, false));
        if (backward)
            assert_ok(op_rig_run(&all, WEIR_BACKWARD_INPUT, NULL, false));
        for (int64_t s = 0; s < samples; s++) {
            struct op_case alone = *c;
            struct op_rig rig;
            for (int i = 0; i < c->n_inputs; i++)
                alone.inputs[i].dims[0] = 1;
            op_rig_open(&rig, &alone, 1, 10, 0);
            rig.full.first_sample += (uint32_t)s;
            size_t in[WEIR_OP_INPUTS], out[WEIR_OP_OUTPUTS];
            for (int i = 0; i < c->n_inputs; i++) {
                in[i] = weir_shape_bytes(&rig.shapes.inputs[i]);
                memcpy(rig.full.inputs[i].data, (char *)all.full.inputs[i].data + (size_t)s * in[i], in[i]);
            }
            for (int i = 0; i < rig.shapes.n_outputs; i++) {
                out[i] = weir_shape_bytes(&rig.shapes.outputs[i]);
                memcpy(rig.full.d_outputs[i].data, (char *)all.full.d_outputs[i].data + (size_t)s * out[i], out[i]);
            }
            assert_ok(op_rig_run(&rig, WEIR_FORWARD, NULL, false));
            for (int i = 0; i < rig.shapes.n_outputs; i++)
                assert_same_bits(c, "output", rig.full.outputs[i].data, (char *)all.full.outputs[i].data + (size_t)s * out[i],
                                 out[i]);
            if (backward) {
                assert_ok(op_rig_run(&rig, WEIR_BACKWARD_INPUT, NULL, false));
                for (int i = 0; i < c->n_inputs; i++)
                    assert_same_bits(c, "d_input", rig.full.d_inputs[i].data,
                                     (char *)all.full.d_inputs[i].data + (size_t)s * in[i], in[i]);
            }
            op_rig_close(&rig);
        }
        op_rig_close(&all);
    }
}

/* A row of several segments, of which one is all -infinity and one far above the others: against sums in double. */
static void a_loss_follows_double_however_its_logits_are_spread(void **state)
{
    (void)state;
    static const struct op_case wide = {"four segments", &weir_op_cross_entropy, {0}, 2, {{2, {1, 40000}, WEIR_DTYPE_F32}, {1, {1}, WEIR_DTYPE_I32}}};
    enum { COLUMNS = 40000, TARGET = 39990 };
    struct op_rig rig;
    double total = 0, loss;
    static double logits[COLUMNS];
    op_rig_open(&rig, &wide, 1, 0, 0);
    float *x = rig.full.inputs[0].data, *d = rig.full.d_inputs[0].data;
    for (int i = 0; i < COLUMNS; i++) {
        x[i] = i < 8192 ? -INFINITY : (i >= 20000 && i < 30000 ? 30.0f : -3.0f) + (float)(i % 97) / 10;
        logits[i] = (double)x[i];
        total += exp(logits[i] - 39.6);
    }
    *(int32_t *)rig.full.inputs[1].data = TARGET;
    rig.full.loss_scale = 1;
    assert_ok(op_rig_run(&rig, WEIR_FORWARD, NULL, false));
    memcpy(&loss, rig.full.output.data, sizeof loss);
    assert_true(fabs(loss - (log(total) + 39.6 - logits[TARGET])) < 1e-5);
    for (int i = 0; i < COLUMNS; i++)
        assert_true(fabs((double)d[i] - (exp(logits[i] - 39.6) / total - (i == TARGET))) < 1e-6);
    op_rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_whole_and_has_cases),
        cmocka_unit_test(forward_follows_the_reference),
        cmocka_unit_test(input_gradients_follow_finite_differences),
        cmocka_unit_test(weight_gradients_follow_finite_differences),
        cmocka_unit_test(an_addend_is_added_whether_or_not_it_is_the_gradient_itself),
        cmocka_unit_test(a_gradient_that_nobody_wants_is_left_out),
        cmocka_unit_test(a_gradient_that_is_not_there_is_zero),
        cmocka_unit_test(accumulated_weight_gradients_are_sums),
        cmocka_unit_test(input_and_weight_gradients_do_not_lean_on_each_other),
        cmocka_unit_test(results_do_not_depend_on_addresses),
        cmocka_unit_test(results_of_two_threads_are_reproducible),
        cmocka_unit_test(a_sample_alone_has_the_bits_it_has_among_others),
        cmocka_unit_test(a_loss_follows_double_however_its_logits_are_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
