/* Random task graphs on every kind of device, against a serial order.   labels: threads
 *
 * A graph is a serial list of tasks, each of which reads two cells and writes a third.  Tasks are dealt to streams, and
 * every conflict between two streams gets an event: recorded after the earlier task, awaited before the later one.
 * Whatever the streams do, the cells must end as the serial list leaves them.  Events are few and taken from one stream
 * for another while older waits for them are still pending, so waits must have captured the record of their time. */
#include "tests/support/testing.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/support/device_calls.h"
#include "engine/device/device.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { GRAPHS = 40 };
#else
enum { GRAPHS = 200 };
#endif
enum { CELLS = 12, TASKS = 60, MOST_STREAMS = 12, MOST_EVENTS = 10 };

struct node {
    uint64_t *written;
    const uint64_t *read[2];
    uint64_t salt;
    unsigned delay;
    bool yields;
    struct node *attr; /* the node itself */
    struct weir_op_call call;
};

/* A stream's last record, and which event holds it. */
struct rig {
    const struct weir_device_kind *kind;
    weir_device *device;
    int n_streams, n_compute, n_events;
    weir_stream *streams[MOST_STREAMS];
    weir_event *events[MOST_EVENTS];
    int holder[MOST_EVENTS];   /* stream that recorded the event last, -1: none */
    int position[MOST_EVENTS]; /* task after which it did */
    int last_task[MOST_STREAMS];
    int writer[CELLS];               /* last task that writes the cell, -1: none */
    int reader[CELLS][MOST_STREAMS]; /* last task per stream that reads it since */
    int stream_of[TASKS];
    struct node nodes[TASKS];
    uint64_t *cells, serial[CELLS]; /* cells: memory that copies take */
    uint64_t seed;
    uint32_t n_drawn;
};

static unsigned draw(struct rig *rig, unsigned n)
{
    return weir_rng_philox(rig->seed, rig->n_drawn++, 0, 0, 0).v[0] % n;
}

static uint64_t mix(uint64_t a, uint64_t b, uint64_t salt)
{
    uint64_t x = (a ^ salt) * 0x9e3779b97f4a7c15u + (b << 7 | b >> 57);
    return x ^ x >> 29;
}

static weir_status node_task(void *argument)
{
    const struct node *node = argument;
    uint64_t a = *node->read[0];
    for (volatile unsigned k = 0; k < node->delay; k++)
        ;
    if (node->yields)
        sched_yield();
    *node->written = mix(a, *node->read[1], node->salt);
    return WEIR_OK;
}

static weir_status node_kernel(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return node_task(*(struct node *const *)call->attr);
}

/* Make `stream` wait for task `earlier`, unless it runs on the same stream. */
static void depend(struct rig *rig, int stream, int earlier)
{
    if (earlier < 0 || rig->stream_of[earlier] == stream)
        return;
    int other = rig->stream_of[earlier], e = 0;
    while (e < rig->n_events && !(rig->holder[e] == other && rig->position[e] >= earlier))
        e++;
    if (e == rig->n_events) {
        e = (int)draw(rig, (unsigned)rig->n_events);
        assert_ok(rig->kind->record(rig->streams[other], rig->events[e]));
        rig->holder[e] = other;
        rig->position[e] = rig->last_task[other];
    }
    assert_ok(rig->kind->wait(rig->streams[stream], rig->events[e]));
}

/* read after write, write after write, write after read */
static void depend_on_conflicts(struct rig *rig, int stream, const int read[2], int written)
{
    for (int k = 0; k < 2; k++)
        depend(rig, stream, rig->writer[read[k]]);
    depend(rig, stream, rig->writer[written]);
    for (int s = 0; s < rig->n_streams; s++)
        depend(rig, stream, rig->reader[written][s]);
}

static void task_issue(struct rig *rig, int t)
{
    int stream = (int)draw(rig, (unsigned)rig->n_streams);
    bool is_edge = stream >= rig->n_compute;
    int read[2] = {(int)draw(rig, CELLS), (int)draw(rig, CELLS)};
    int written = (int)draw(rig, CELLS);
    struct node *node = &rig->nodes[t];
    depend_on_conflicts(rig, stream, read, written);
    *node = (struct node){.written = &rig->cells[written], .read = {&rig->cells[read[0]], &rig->cells[read[1]]}};
    node->salt = draw(rig, ~0u);
    node->delay = draw(rig, 8) ? 0 : draw(rig, 3000);
    node->yields = draw(rig, 16) == 0;
    node->attr = node;
    node->call.attr = &node->attr;
    if (is_edge)
        assert_ok(rig->kind->copy(rig->streams[stream], node->written, node->read[0], sizeof *node->written));
    else if (draw(rig, 2) || !(rig->kind->flags & WEIR_DEVICE_TASKS))
        assert_ok(testing_stream_call(rig->kind, rig->streams[stream], node_task, node));
    else
        assert_ok(rig->kind->launch(rig->streams[stream], node_kernel, &node->call));
    rig->serial[written] =
        is_edge ? rig->serial[read[0]] : mix(rig->serial[read[0]], rig->serial[read[1]], node->salt);
    rig->stream_of[t] = stream;
    rig->last_task[stream] = t;
    for (int k = 0; k < (is_edge ? 1 : 2); k++)
        rig->reader[read[k]][stream] = t;
    rig->writer[written] = t;
    for (int s = 0; s < rig->n_streams; s++)
        rig->reader[written][s] = -1;
    if (read[0] == written || (!is_edge && read[1] == written))
        rig->reader[written][stream] = t;
}

static void graph_run(struct rig *rig)
{
    memset(rig->writer, -1, sizeof rig->writer);
    memset(rig->reader, -1, sizeof rig->reader);
    memset(rig->holder, -1, sizeof rig->holder);
    for (int t = 0; t < TASKS; t++)
        task_issue(rig, t);
    for (int s = 0; s < rig->n_streams; s++)
        assert_ok(rig->kind->stream_sync(rig->streams[s], -1));
    assert_memory_equal(rig->cells, rig->serial, sizeof rig->serial);
}

static void rig_open(struct rig *rig, const struct weir_device_kind *kind, int n_compute, int n_edges)
{
    memset(rig, 0, sizeof *rig);
    rig->kind = kind;
    rig->n_compute = n_compute;
    rig->n_streams = n_compute + n_edges;
    rig->n_events = 1 + (n_compute * 3 + n_edges) % MOST_EVENTS;
    rig->seed = (uint64_t)(n_compute * 100 + n_edges);
    assert_ok(kind->open(0, 1, &rig->device));
    assert_ok(kind->host_alloc(rig->device, sizeof rig->serial, (void **)(void *)&rig->cells));
    for (int s = 0; s < rig->n_streams; s++)
        assert_ok(kind->stream_open(rig->device, s < n_compute ? WEIR_STREAM_COMPUTE : WEIR_STREAM_EDGE,
                                    1 + draw(rig, 40), &rig->streams[s]));
    for (int e = 0; e < rig->n_events; e++)
        assert_ok(kind->event_open(rig->device, &rig->events[e]));
    for (int c = 0; c < CELLS; c++)
        rig->cells[c] = rig->serial[c] = draw(rig, ~0u);
}

static void rig_close(struct rig *rig)
{
    for (int s = 0; s < rig->n_streams; s++)
        rig->kind->stream_close(rig->streams[s]);
    for (int e = 0; e < rig->n_events; e++)
        rig->kind->event_close(rig->events[e]);
    rig->kind->host_free(rig->device, rig->cells);
    rig->kind->close(rig->device);
}

static void run_on_every_kind(int n_compute, int n_edges)
{
    const struct weir_device_kind *kind;
    static struct rig rig;
    for (int i = 0; (kind = weir_device_kind_at(i)); i++) {
        int n_devices;
        if (!testing_device_there(kind, &n_devices))
            continue;
        rig_open(&rig, kind, n_compute, n_edges);
        for (int g = 0; g < GRAPHS; g++)
            graph_run(&rig);
        rig_close(&rig);
    }
}

static void random_graphs_on_compute_streams(void **state)
{
    (void)state;
    for (int n = 1; n <= 8; n++)
        run_on_every_kind(n, 0);
}

static void random_graphs_on_compute_and_edge_streams(void **state)
{
    (void)state;
    for (int n = 1; n <= 8; n++)
        run_on_every_kind(n, 1 + n % 4);
}

static void random_graphs_on_edge_streams(void **state)
{
    (void)state;
    run_on_every_kind(0, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_on_compute_streams),
        cmocka_unit_test(random_graphs_on_compute_and_edge_streams),
        cmocka_unit_test(random_graphs_on_edge_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
