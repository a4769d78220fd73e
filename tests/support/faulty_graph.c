#include "tests/support/faulty_graph.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "kernels/op_rows.h"

enum { WIDTH = 16, CLASSES = 4 };

struct faulty_plan faulty_plan;

static const char *const names[FAULTY_KINDS] = {"none", "stuck", "slow", "stop", "kill", "crash", "exit", "nan", "nan once", "error", "lost"};

const char *faulty_str(enum faulty_kind kind)
{
    return names[kind];
}

enum faulty_kind faulty_find(const char *name)
{
    int kind = 0;
    while (kind < FAULTY_KINDS && strcmp(names[kind], name) != 0)
        kind++;
    return (enum faulty_kind)kind;
}

static void sleep_ns(int64_t ns)
{
    int64_t end = weir_clock_ns() + ns;
    while (weir_clock_ns() < end)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* ---- getting lost: a signal that worker threads take, as a processor would raise it ------------------------------------ */

static pthread_t losing;
static _Atomic enum { KNOWN, TO_BE_LOST, LOST } losing_state;

static void lose(int number)
{
    (void)number;
    atomic_store(&losing_state, LOST);
    for (;;)
        pause();
}

static void thread_lose(void)
{
    signal(SIGTRAP, lose);
    pthread_kill(losing, SIGTRAP);
    while (atomic_load(&losing_state) != LOST)
        sleep_ns(1000000);
}

/* ---- faults ----------------------------------------------------------------------------------------------------------- */

static weir_status fault_do(float *y)
{
    switch (faulty_plan.kind) {
    case FAULTY_STUCK:
        sleep_ns(INT64_C(600000000000));
        return WEIR_OK;
    case FAULTY_SLOW:
        sleep_ns(faulty_plan.slow_ns);
        return WEIR_OK;
    case FAULTY_STOP:
        raise(SIGSTOP);
        return WEIR_OK;
    case FAULTY_KILL:
        raise(SIGKILL);
        return WEIR_OK;
    case FAULTY_CRASH:
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
        return WEIR_OK;
    case FAULTY_EXIT:
        exit(0);
    case FAULTY_NAN:
        y[1] = NAN;
        return WEIR_OK;
    case FAULTY_NAN_ONCE:
        faulty_plan.kind = FAULTY_NONE;
        y[1] = NAN;
        return WEIR_OK;
    case FAULTY_ERROR:
        return WEIR_FAIL(WEIR_ERR_DEVICE, "boom");
    case FAULTY_LOST:
        losing = pthread_self();
        atomic_store(&losing_state, TO_BE_LOST);
        return WEIR_OK;
    default:
        return WEIR_OK;
    }
}

struct fault_attr {
    int layer;
};

static weir_status infer(struct weir_op_shapes *shapes)
{
    shapes->output = shapes->inputs[0];
    return WEIR_OK;
}

/* y = x, and the fault; its layer is in the attributes. */
static weir_status forward(const struct weir_op_call *call, void *stream)
{
    const struct fault_attr *attr = call->attr;
    bool due = call->step->training && call->step->step == faulty_plan.step && attr->layer == faulty_plan.layer &&
               (int)call->first_sample == faulty_plan.microbatch * FAULTY_BATCH;
    (void)stream;
    memcpy(call->output.data, call->inputs[0].data, sizeof(float) * (size_t)weir_tensor_elements(&call->output));
    return due ? fault_do(call->output.data) : WEIR_OK;
}

static weir_status backward(const struct weir_op_call *call, void *stream)
{
    float *dx = call->d_inputs[0].data;
    const float *dy = call->d_output.data, *addend = call->addends[0];
    (void)stream;
    for (int64_t i = 0; dx && i < weir_tensor_elements(&call->output); i++)
        dx[i] = dy[i] + (addend ? addend[i] : 0);
    return WEIR_OK;
}

static const struct weir_op op_fault = {.struct_bytes = sizeof(struct weir_op), .name = "fault", .infer = infer, .attr_bytes = sizeof(struct fault_attr),
                                        .cpu = {.forward = forward, .backward_input = backward}};

static int linear(struct weir_graph_builder *b, const char *name, int x, int64_t out)
{
    struct weir_linear_attr attr = {.out_features = out};
    int param = weir_graph_param(b, name, WEIR_INIT_NORMAL, 0.3, true);
    return weir_graph_node(b, name, &weir_op_linear, &attr, sizeof attr, 1, &x, 1, &param);
}

static weir_status graph_build(struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_graph_builder b;
    weir_graph_begin(&b, "faulty", arena);
    int x = weir_graph_input(&b, "points", (struct weir_shape){2, {FAULTY_BATCH, WIDTH}, WEIR_DTYPE_F32});
    int targets = weir_graph_input(&b, "targets", (struct weir_shape){1, {FAULTY_BATCH}, WEIR_DTYPE_I32});
    for (int l = 0; l < FAULTY_LAYERS; l++) {
        char name[32], weight[32];
        struct fault_attr attr = {.layer = l};
        snprintf(name, sizeof name, "fault %d", l);
        snprintf(weight, sizeof weight, "fc%d", l);
        weir_graph_layer(&b, weight);
        x = linear(&b, weight, weir_graph_node(&b, name, &op_fault, &attr, sizeof attr, 1, &x, 0, NULL), l + 1 < FAULTY_LAYERS ? WIDTH : CLASSES);
    }
    weir_graph_node(&b, "loss", &weir_op_cross_entropy, NULL, 0, 2, (int[]){x, targets}, 0, NULL);
    return weir_graph_finish(&b, graph_out);
}

static struct weir_arena graphs; /* engines borrow them */

weir_status faulty_config(int n_ranks, struct weir_engine_config *config_out)
{
    static const int two[] = {0, 1, FAULTY_LAYERS}, each[] = {0, 1, 2, 3};
    struct weir_schedule *schedule;
    const struct weir_graph *graph;
    weir_status status = graph_build(&graphs, &graph);
    if (!status)
        status = weir_arena_alloc(&graphs, 1, sizeof *schedule, &schedule);
    if (!status)
        status = weir_pipeline_schedule("1f1b", n_ranks, 1, FAULTY_MICROBATCHES, &graphs, schedule);
    if (status)
        return status;
    weir_engine_config_init(config_out, sizeof *config_out);
    config_out->graph = graph;
    config_out->schedule = schedule;
    config_out->first_layer = n_ranks == FAULTY_LAYERS ? each : two;
    return WEIR_OK;
}

weir_status faulty_open(const char *transport, double timeout, weir_engine **engine_out)
{
    struct weir_engine_config config;
    weir_status status = faulty_config(FAULTY_LAYERS, &config);
    if (status)
        return status;
    config.transport = transport;
    config.timeout = timeout;
    config.snapshots = true;
    return weir_engine_open(&config, engine_out);
}

weir_status faulty_step(weir_engine *engine, struct weir_step_report *report_out)
{
    float points[FAULTY_BATCH * WIDTH];
    int32_t targets[FAULTY_BATCH];
    weir_status status = WEIR_OK;
    for (int mb = 0; mb < FAULTY_MICROBATCHES && !status; mb++) {
        for (int i = 0; i < FAULTY_BATCH * WIDTH; i++)
            points[i] = (float)sin(i + 7 * mb + 31 * faulty_plan.data);
        for (int i = 0; i < FAULTY_BATCH; i++)
            targets[i] = (i + mb) % CLASSES;
        status = weir_engine_feed(engine, "points", mb, points);
        if (!status)
            status = weir_engine_feed(engine, "targets", mb, targets);
    }
    if (!status)
        status = weir_engine_step(engine, 0.01, report_out);
    if (atomic_load(&losing_state) == TO_BE_LOST)
        thread_lose();
    return status;
}
