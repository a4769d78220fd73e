/* What a micro-batch of GPT-2 124M launches on a GPU, counted without one: the program of 16 x 1024 tokens in bf16 is built,
 * its calls are made on addresses that nothing reads, and launches are noted instead of run.  docs/gpu-results.md has the
 * table, with what it says about speed.  labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "emulation.h"
#include "engine/program/program.h"
#include "include/weir/weir.h"
#include "kernels/cuda/cuda.h"
#include "models/model_kinds.h"

enum { SAMPLES = 16, POSITIONS = 1024, KERNELS = 64 };

/* ---- launches -------------------------------------------------------------------------------------------------------- */

struct tally {
    char name[64];
    int launches;
};

static struct tally tallies[KERNELS];
static int n_tallies, n_launches;

/* In place of the emulation's. */
weir_status weir_emulated_launch(void *stream, const struct weir_emulated_call *call)
{
    (void)stream;
    int i = 0;
    while (i < n_tallies && strcmp(tallies[i].name, call->name) != 0)
        i++;
    assert_true(i < KERNELS);
    if (i == n_tallies)
        snprintf(tallies[n_tallies++].name, sizeof tallies[i].name, "%s", call->name);
    tallies[i].launches++;
    n_launches++;
    return WEIR_OK;
}

/* ---- the program ------------------------------------------------------------------------------------------------------ */

struct fixture {
    struct weir_arena arena;
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    struct weir_program *program;
    struct weir_kernel_context *context;
};

static void program_build(struct fixture *f)
{
    struct weir_model_params model = {.microbatch_size = SAMPLES, .seq_len = POSITIONS};
    struct weir_schedule_report report;
    assert_ok(weir_model_build(&weir_model_gpt2, &model, &f->arena, &f->graph));
    assert_ok(weir_graph_cast(f->graph, WEIR_DTYPE_BF16, &f->arena, &f->graph));
    assert_ok(weir_pipeline_schedule("1f1b", 1, 0, 1, &f->arena, &f->schedule));
    assert_ok(weir_schedule_check(&f->schedule, WEIR_CHANNELS_EDGE, &f->arena, &report));
    int first_layer[2] = {0, f->graph->n_layers};
    struct weir_program_params params = {.graph = f->graph,
                                         .schedule = &f->schedule,
                                         .input_slots = report.input_slots,
                                         .gradient_slots = report.gradient_slots,
                                         .first_layer = first_layer,
                                         .n_threads = 1,
                                         .kernels = weir_cuda_kernels,
                                         .state_floats = 2};
    assert_ok(weir_program_build(&params, &f->arena, &f->program));
}

static int setup(void **state)
{
    static struct fixture f;
    program_build(&f);
    assert_ok(weir_cuda_context_open(0, false, NULL, &f.context));
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    weir_cuda_context_close(f->context);
    weir_arena_release(&f->arena);
    return 0;
}

static void *address(const struct weir_where *where)
{
    static char nowhere[64];
    return where->place == WEIR_PLACE_NONE ? NULL : nowhere;
}

static void call_place(const struct fixture *f, const struct weir_step_call *t, struct weir_op_call *call)
{
    static const struct weir_step_values values = {.training = 1};
    *call = t->call;
    for (int i = 0; i < call->n_inputs; i++) {
        call->inputs[i].data = address(&t->inputs[i]);
        call->d_inputs[i].data = address(&t->d_inputs[i]);
        call->addends[i] = address(&t->addends[i]);
    }
    for (int i = 0; i < call->n_params; i++) {
        call->params[i].data = address(&t->params[i]);
        call->d_params[i].data = address(&t->d_params[i]);
    }
    for (int i = 0; i < call->n_outputs; i++) {
        call->outputs[i].data = address(&t->outputs[i]);
        call->d_outputs[i].data = address(&t->d_outputs[i]);
    }
    call->saved = address(&t->saved);
    call->scratch = address(&t->scratch);
    call->step = &values;
    call->context = f->context;
}

/* ---- the table --------------------------------------------------------------------------------------------------------- */

/* One line: what the calls of a row's pass cost together.  Of the products the head's stand apart: their odd width keeps them
 * from the tensor cores' fastest paths. */
struct line {
    const char *op;
    enum weir_pass pass;
    bool head;
    int launches;
    double gflop, gbyte; /* a tensor of a call counted once */
};

static const struct line wanted[] = {
    {"embedding", WEIR_FORWARD, false, 1, 0.0126, 0.0755},
    {"embedding", WEIR_BACKWARD_WEIGHT, false, 3, 0.0252, 0.2265},
    {"layer_norm", WEIR_FORWARD, false, 25, 2.52, 1.26},
    {"layer_norm", WEIR_BACKWARD_INPUT, false, 25, 3.15, 1.89},
    {"layer_norm", WEIR_BACKWARD_WEIGHT, false, 100, 1.57, 1.26},
    {"linear", WEIR_FORWARD, false, 48, 2784.5, 5.00},
    {"linear", WEIR_BACKWARD_INPUT, false, 48, 2783.1, 5.00},
    {"linear", WEIR_BACKWARD_WEIGHT, false, 144, 2784.5, 5.17},
    {"linear", WEIR_FORWARD, true, 1, 1264.8, 1.75},
    {"linear", WEIR_BACKWARD_INPUT, true, 1, 1264.8, 1.75},
    {"linear", WEIR_BACKWARD_WEIGHT, true, 1, 1264.8, 1.83},
    {"attention", WEIR_FORWARD, false, 12, 333.7, 1.22},
    {"attention", WEIR_BACKWARD_INPUT, false, 24, 804.1, 2.12},
    {"gelu_tanh", WEIR_FORWARD, false, 12, 15.1, 2.42},
    {"gelu_tanh", WEIR_BACKWARD_INPUT, false, 12, 16.3, 3.62},
    {"add", WEIR_FORWARD, false, 24, 0.30, 1.81},
    {"cross_entropy", WEIR_FORWARD, false, 2, 37.1, 3.29},
};
enum { LINES = sizeof wanted / sizeof wanted[0] };

static int line_of(const char *op, enum weir_pass pass, bool head)
{
    for (int i = 0; i < LINES; i++)
        if (!strcmp(wanted[i].op, op) && wanted[i].pass == pass && wanted[i].head == head)
            return i;
    fail_msg("the table has no line for '%s'", op);
    return -1;
}

static void list_run(const struct fixture *f, const struct weir_call_list *list, struct line *got)
{
    for (int i = 0; i < list->n_calls; i++) {
        const struct weir_step_call *t = &list->calls[i];
        const struct weir_node *node = &f->graph->nodes[t->node];
        struct weir_op_call call;
        int before = n_launches;
        assert_non_null(t->fn); /* no copies: nothing is handed on */
        call_place(f, t, &call);
        assert_ok(t->fn(&call, NULL));
        struct line *line = &got[line_of(call.op->name, t->pass, !strcmp(node->name, "lm_head"))];
        line->launches += n_launches - before;
        line->gflop += node->shapes.flops[t->pass] * 1e-9;
        line->gbyte += node->shapes.bytes[t->pass] * 1e-9;
    }
}

static void assert_about(const struct line *line, const char *what, double got, double value)
{
    if (fabs(got - value) > 0.01 * value)
        fail_msg("%s, pass %d: %g %s, the table says %g", line->op, (int)line->pass, got, what, value);
}

static void launches_flops_and_bytes_of_a_micro_batch_are_those_of_the_table(void **state)
{
    const struct fixture *f = *state;
    const struct weir_stage_program *stage = &f->program->stages[0];
    struct line got[LINES] = {{NULL, WEIR_FORWARD, false, 0, 0, 0}};
    list_run(f, &stage->lists[WEIR_LIST_F], got);
    list_run(f, &stage->lists[WEIR_LIST_B], got);
    for (int i = 0; i < LINES; i++) {
        if (got[i].launches != wanted[i].launches)
            fail_msg("%s, pass %d: %d launches, the table says %d", wanted[i].op, (int)wanted[i].pass, got[i].launches,
                     wanted[i].launches);
        assert_about(&wanted[i], "GFLOP", got[i].gflop, wanted[i].gflop);
        assert_about(&wanted[i], "GB", got[i].gbyte, wanted[i].gbyte);
    }
    assert_int_equal(n_launches, 483);
    assert_int_equal(f->graph->n_inputs, 2); /* a copy each: 485 things are enqueued */
}

/* Kernels of one name, whatever their types. */
static void kernels_are_launched_as_often_as_the_table_says(void **state)
{
    static const struct tally names[] = {
        {"product", 147},           {"column_partials_kernel", 98}, {"column_sums_kernel", 98}, {"norm_kernel", 25},
        {"slope_kernel", 25},       {"sum_kernel", 24},             {"attention_kernel", 12},   {"attention_d_q", 12},
        {"attention_d_kv", 12},     {"activation", 12},             {"activation_slope", 12},   {"cross_entropy_kernel", 1},
        {"loss_kernel", 1},         {"embedding_kernel", 1},        {"clear_kernel", 1},        {"wte_kernel", 1},
        {"wpe_kernel", 1},
    };
    (void)state;
    int found = 0;
    for (int i = 0; i < n_tallies; i++)
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            if (strcspn(tallies[i].name, "<") == strlen(names[k].name) &&
                !strncmp(tallies[i].name, names[k].name, strlen(names[k].name))) {
                assert_int_equal(tallies[i].launches, names[k].launches);
                found++;
            }
    assert_int_equal(n_tallies, sizeof names / sizeof names[0]);
    assert_int_equal(found, n_tallies);
}

static void the_end_of_a_step_launches_three_kernels_for_each_tensor_and_a_gate(void **state)
{
    const struct fixture *f = *state;
    const struct weir_rank_program *rank = &f->program->ranks[0];
    assert_int_equal(rank->n_pieces, 148); /* squares, update, rounding: 444 launches */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(launches_flops_and_bytes_of_a_micro_batch_are_those_of_the_table),
        cmocka_unit_test(kernels_are_launched_as_often_as_the_table_says),
        cmocka_unit_test(the_end_of_a_step_launches_three_kernels_for_each_tensor_and_a_gate),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
