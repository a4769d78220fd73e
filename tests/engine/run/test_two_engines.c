/* Engines in one process: none disturbs another, and the process is afterwards as it was before.   labels: threads */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "include/weir/weir.h"
#include "kernels/op_rows.h"
#include "tests/support/testing.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SERIES = 10 }; /* each some twenty times slower */
#else
enum { SERIES = 100 };
#endif

enum { MICROBATCHES = 4, BATCH = 2, STEPS = 3, WIDTH = 8, CLASSES = 4, WHOLE = WIDTH * CLASSES };

/* ---- a small model, of which a row may fail --------------------------------------------------------------------------- */

struct model {
    struct weir_arena arena;
    struct weir_schedule schedule;
    struct weir_engine_config config;
    int fails; /* 1: its row refuses */
};

static weir_status same_infer(struct weir_op_shapes *shapes)
{
    shapes->output = shapes->inputs[0];
    return WEIR_OK;
}

static weir_status same_forward(const struct weir_op_call *call, void *stream)
{
    const struct model *const *model = call->attr;
    (void)stream;
    memcpy(call->output.data, call->inputs[0].data, sizeof(float) * (size_t)weir_tensor_elements(&call->output));
    return (*model)->fails ? WEIR_FAIL(WEIR_ERR_DEVICE, "refused") : WEIR_OK;
}

static weir_status same_backward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    if (call->d_inputs[0].data)
        memcpy(call->d_inputs[0].data, call->d_output.data, sizeof(float) * (size_t)weir_tensor_elements(&call->output));
    return WEIR_OK;
}

static const struct weir_op op_same = {.struct_bytes = sizeof(struct weir_op), .name = "same", .infer = same_infer, .attr_bytes = sizeof(struct model *),
                                       .cpu = {.forward = same_forward, .backward_input = same_backward}};

static weir_status model_make(struct model *m, int stages, uint64_t seed)
{
    struct weir_graph_builder b;
    struct weir_linear_attr hidden = {.out_features = WIDTH}, classes = {.out_features = CLASSES};
    memset(m, 0, sizeof *m);
    weir_graph_begin(&b, "small", &m->arena);
    int x = weir_graph_input(&b, "x", (struct weir_shape){2, {BATCH, WIDTH}, WEIR_DTYPE_F32});
    int targets = weir_graph_input(&b, "targets", (struct weir_shape){1, {BATCH}, WEIR_DTYPE_I32});
    weir_graph_layer(&b, "first");
    int first = weir_graph_param(&b, "first", WEIR_INIT_NORMAL, 0.5, true);
    x = weir_graph_node(&b, "first", &weir_op_linear, &hidden, sizeof hidden, 1, &x, 1, &first);
    x = weir_graph_node(&b, "same", &op_same, &m, sizeof m, 1, &x, 0, NULL);
    weir_graph_layer(&b, "last");
    int last = weir_graph_param(&b, "last", WEIR_INIT_NORMAL, 0.5, true);
    x = weir_graph_node(&b, "last", &weir_op_linear, &classes, sizeof classes, 1, &x, 1, &last);
    weir_graph_node(&b, "loss", &weir_op_cross_entropy, NULL, 0, 2, (int[]){x, targets}, 0, NULL);
    m->config = (struct weir_engine_config)WEIR_ENGINE_CONFIG_DEFAULT;
    m->config.seed = seed;
    weir_status status = weir_graph_finish(&b, &m->config.graph);
    if (!status)
        status = weir_pipeline_schedule("1f1b", stages, 0, MICROBATCHES, &m->arena, &m->schedule);
    m->config.schedule = &m->schedule;
    return status;
}

static weir_status step(weir_engine *engine, int number)
{
    float x[BATCH * WIDTH];
    int32_t targets[BATCH];
    struct weir_step_report report;
    weir_status status = WEIR_OK;
    for (int mb = 0; mb < MICROBATCHES && !status; mb++) {
        for (int i = 0; i < BATCH * WIDTH; i++)
            x[i] = (float)((i * 5 + mb + number) % 7) / 7;
        for (int i = 0; i < BATCH; i++)
            targets[i] = (i + mb + number) % CLASSES;
        status = weir_engine_feed(engine, "x", mb, x);
        if (!status)
            status = weir_engine_feed(engine, "targets", mb, targets);
    }
    return status ? status : weir_engine_step(engine, 0.05, &report);
}

/* ---- two at once ------------------------------------------------------------------------------------------------------- */

static void alone(int stages, uint64_t seed, float *last)
{
    struct model m;
    weir_engine *engine;
    assert_ok(model_make(&m, stages, seed));
    assert_ok(weir_engine_open(&m.config, &engine));
    for (int i = 0; i < STEPS; i++)
        assert_ok(step(engine, i));
    assert_ok(weir_engine_param_read(engine, "last", last, WHOLE));
    weir_engine_close(engine);
    weir_arena_release(&m.arena);
}

static void each_engine_has_the_bits_that_it_has_alone(void **state)
{
    (void)state;
    struct model a, b;
    weir_engine *first, *second;
    float wanted[2][WHOLE], found[2][WHOLE];
    alone(2, 1, wanted[0]);
    alone(1, 7, wanted[1]);
    assert_ok(model_make(&a, 2, 1));
    assert_ok(model_make(&b, 1, 7));
    assert_ok(weir_engine_open(&a.config, &first));
    assert_ok(weir_engine_open(&b.config, &second));
    for (int i = 0; i < STEPS; i++) { /* in turns */
        assert_ok(step(first, i));
        assert_ok(step(second, i));
    }
    assert_ok(weir_engine_param_read(first, "last", found[0], WHOLE));
    weir_engine_close(first);
    assert_ok(weir_engine_param_read(second, "last", found[1], WHOLE));
    weir_engine_close(second);
    assert_memory_equal(wanted, found, sizeof wanted);
    weir_arena_release(&a.arena);
    weir_arena_release(&b.arena);
}

static void an_engine_that_fails_leaves_the_other_as_it_is(void **state)
{
    (void)state;
    struct model a, b;
    weir_engine *first, *second;
    float wanted[WHOLE], found[WHOLE];
    alone(2, 3, wanted);
    assert_ok(model_make(&a, 2, 3));
    assert_ok(model_make(&b, 2, 3));
    assert_ok(weir_engine_open(&a.config, &first));
    assert_ok(weir_engine_open(&b.config, &second));
    for (int i = 0; i < STEPS; i++) {
        b.fails = i == 1;
        assert_ok(step(first, i));
        assert_int_equal(step(second, i), i == 0 ? WEIR_OK : i == 1 ? WEIR_ERR_DEVICE : WEIR_ERR_INVALID);
    }
    assert_ok(weir_engine_param_read(first, "last", found, WHOLE));
    assert_memory_equal(wanted, found, sizeof wanted);
    weir_engine_close(second);
    weir_engine_close(first);
    weir_arena_release(&a.arena);
    weir_arena_release(&b.arena);
}

/* ---- many, in two threads ------------------------------------------------------------------------------------------------ */

static int entries(const char *path)
{
    DIR *folder = opendir(path);
    int n = 0;
    assert_non_null(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

struct series {
    int n;
    uint64_t seed;
    weir_status status;
    char message[WEIR_ERROR_MAX];
};

static void *series_run(void *argument)
{
    struct series *s = argument;
    for (int i = 0; i < s->n && !s->status; i++) {
        struct model m;
        weir_engine *engine;
        s->status = model_make(&m, 1 + i % 2, s->seed);
        if (!s->status)
            s->status = weir_engine_open(&m.config, &engine);
        if (!s->status) {
            s->status = step(engine, i);
            weir_engine_close(engine);
        }
        weir_arena_release(&m.arena);
    }
    snprintf(s->message, sizeof s->message, "%s", weir_last_error());
    return NULL;
}

static void both_threads(int n)
{
    struct series series[2] = {{.n = n, .seed = 1}, {.n = n, .seed = 2}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, series_run, &series[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        if (series[i].status)
            fail_msg("%d: %s", (int)series[i].status, series[i].message);
    }
}

static void many_engines_in_two_threads_leave_nothing_open(void **state)
{
    (void)state;
    both_threads(2);
    int files = entries("/proc/self/fd"), threads = entries("/proc/self/task");
    both_threads(SERIES);
    assert_int_equal(entries("/proc/self/fd"), files);
    assert_int_equal(entries("/proc/self/task"), threads);
}

/* ---- what is the process's own -------------------------------------------------------------------------------------------- */

/* Everything that a program would mind: environment, mask, handlers, cores of its thread. */
struct own {
    size_t environment;
    sigset_t mask;
    cpu_set_t cores;
    void (*handlers[NSIG])(int);
};

extern char **environ;

static void own_read(struct own *own)
{
    struct sigaction action;
    memset(own, 0, sizeof *own);
    for (char **at = environ; *at; at++)
        own->environment = own->environment * 31 + strlen(*at);
    pthread_sigmask(SIG_SETMASK, NULL, &own->mask);
    assert_int_equal(sched_getaffinity(0, sizeof own->cores, &own->cores), 0);
    for (int s = 1; s < NSIG; s++)
        own->handlers[s] = sigaction(s, NULL, &action) ? NULL : action.sa_handler;
}

static void the_program_keeps_its_environment_signals_and_cores(void **state)
{
    (void)state;
    struct own before, during;
    struct model m;
    weir_engine *engine;
    own_read(&before);
    assert_ok(model_make(&m, 2, 1));
    assert_ok(weir_engine_open(&m.config, &engine));
    assert_ok(step(engine, 0));
    own_read(&during);
    assert_int_equal(before.environment, during.environment);
    assert_memory_equal(&before.mask, &during.mask, sizeof before.mask);
    assert_memory_equal(&before.cores, &during.cores, sizeof before.cores);
    for (int s = 1; s < NSIG; s++)
        assert_true(before.handlers[s] == during.handlers[s]);
    weir_engine_close(engine);
    weir_arena_release(&m.arena);
}

/* Threads of this process that may not run wherever it may. */
static int bound_threads(void)
{
    cpu_set_t mine, its;
    DIR *folder = opendir("/proc/self/task");
    int n = 0;
    assert_non_null(folder);
    assert_int_equal(sched_getaffinity(0, sizeof mine, &mine), 0);
    for (struct dirent *entry; (entry = readdir(folder));)
        n += atoi(entry->d_name) > 0 && !sched_getaffinity(atoi(entry->d_name), sizeof its, &its) && !CPU_EQUAL(&mine, &its);
    closedir(folder);
    return n;
}

static void threads_are_not_bound_where_the_program_wants_the_cores(void **state)
{
    (void)state;
    for (int leaves = 0; leaves < 2; leaves++) {
        struct model m;
        weir_engine *engine;
        assert_ok(model_make(&m, 1, 1));
        m.config.leaves_cores = leaves;
        assert_ok(weir_engine_open(&m.config, &engine));
        assert_ok(step(engine, 0));
        int n = bound_threads();
        if (leaves)
            assert_int_equal(n, 0);
        else if (!n)
            print_message("threads cannot be bound here: that they are not shows nothing\n");
        weir_engine_close(engine);
        weir_arena_release(&m.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_engine_has_the_bits_that_it_has_alone),
        cmocka_unit_test(an_engine_that_fails_leaves_the_other_as_it_is),
        cmocka_unit_test(many_engines_in_two_threads_leave_nothing_open),
        cmocka_unit_test(the_program_keeps_its_environment_signals_and_cores),
        cmocka_unit_test(threads_are_not_bound_where_the_program_wants_the_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
