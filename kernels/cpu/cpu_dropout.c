/* add: y = a + b (+ c).  dropout: y = factor * x, dx = addend + factor * dy; factors are drawn again in the backward. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/dropout_mask.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/storage.h"

/* y = (addend) + factors * x, with factors and addend optional */
WEIR_KERNEL static void scale_add(int64_t n, const float *factors, const float *x, const float *addend, float *y)
{
    if (factors && addend) {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] = addend[i] + factors[i] * x[i];
    } else if (factors) {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] = factors[i] * x[i];
    } else if (addend) {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] = addend[i] + x[i];
    } else if (x != y) {
        memmove(y, x, (size_t)n * sizeof *y);
    }
}

struct add_job {
    const struct weir_op_call *call;
    int64_t n;
};

static void add_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct add_job *job = argument;
    const struct weir_op_call *call = job->call;
    float room[3][WEIR_ROOM];
    bool bf16 = weir_tensor_bf16(&call->output);
    int64_t first = task * WEIR_TASK_ELEMENTS, end = first + weir_task_size(job->n, WEIR_TASK_ELEMENTS, task);
    for (int64_t n, at = first; at < end; at += n) {
        n = weir_part(bf16, end - at);
        float *y = weir_floats_out(bf16, call->output.data, at, room[2]);
        scale_add(n, NULL, weir_floats(bf16, call->inputs[1].data, at, n, room[1]),
                  weir_floats(bf16, call->inputs[0].data, at, n, room[0]), y);
        if (call->n_inputs > 2)
            scale_add(n, NULL, weir_floats(bf16, call->inputs[2].data, at, n, room[0]), y, y);
        weir_floats_end(bf16, call->output.data, at, n, y);
    }
}

weir_status weir_cpu_add_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    const struct add_job job = {call, weir_tensor_elements(&call->output)};
    weir_parallel(call->context, weir_task_count(job.n, WEIR_TASK_ELEMENTS), add_task, &job);
    return WEIR_OK;
}

struct dropout_job {
    const struct weir_op_call *call;
    bool bf16;
    double p;
    int64_t per_sample, tasks_per_sample, before; /* before: elements of a sample in earlier slices */
    const void *x, *addend;
    void *y;
};

static void dropout_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct dropout_job *job = argument;
    float factors[WEIR_ROOM], room[3][WEIR_ROOM];
    int64_t sample = task / job->tasks_per_sample, part = task % job->tasks_per_sample;
    int64_t first = part * WEIR_TASK_ELEMENTS, end = first + weir_task_size(job->per_sample, WEIR_TASK_ELEMENTS, part);
    bool active = weir_dropout_active(job->call, job->p);
    for (int64_t e = first; e < end; e += WEIR_ROOM) {
        int64_t n = end - e < WEIR_ROOM ? end - e : WEIR_ROOM, at = sample * job->per_sample + e;
        if (active)
            weir_dropout_factors(job->call, job->p, sample, job->before + e, n, factors);
        float *y = weir_floats_out(job->bf16, job->y, at, room[2]);
        scale_add(n, active ? factors : NULL, weir_floats(job->bf16, job->x, at, n, room[0]),
                  weir_floats(job->bf16, job->addend, at, n, room[1]), y);
        weir_floats_end(job->bf16, job->y, at, n, y);
    }
}

static weir_status dropout_run(const struct weir_op_call *call, const struct weir_tensor *x, const void *addend, void *y)
{
    const struct weir_dropout_attr *attr = call->attr;
    int64_t per_sample = weir_tensor_elements(x) / x->shape[0], first = call->first_position;
    int64_t before = first ? per_sample / x->shape[1] * first : 0;
    const struct dropout_job job = {call, weir_tensor_bf16(x), attr->dropout, per_sample,
                                    weir_task_count(per_sample, WEIR_TASK_ELEMENTS), before, x->data, addend, y};
    weir_parallel(call->context, x->shape[0] * job.tasks_per_sample, dropout_task, &job);
    return WEIR_OK;
}

weir_status weir_cpu_dropout_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return dropout_run(call, &call->inputs[0], NULL, call->output.data);
}

weir_status weir_cpu_dropout_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return dropout_run(call, &call->d_output, call->addends[0], call->d_inputs[0].data);
}
