/* concat and split: parts (rows, width of the part) and the whole (rows, sum of widths), one written from the other.
 *
 *     gather    whole = addend + the parts side by side        concat forward, split backward
 *     scatter   part i = addend i + its columns of the whole   split forward, concat backward */
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/storage.h"

struct parts_job {
    bool bf16, gathers;
    int n_parts;
    const struct weir_tensor *parts, *whole;
    const void *const *addends; /* of what is written */
    int64_t rows, width, rows_per_task;
};

WEIR_KERNEL static void sum(int64_t n, const float *a, const float *b, float *y)
{
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

/* to = addend + from, either of which may be NULL: nothing to add, a gradient of zero */
static void columns_move(bool bf16, int64_t n, const void *from, const void *addend, void *to)
{
    float room[3][WEIR_ROOM];
    size_t bytes = (size_t)n * (bf16 ? 2 : 4);
    const void *only = from ? from : addend;
    if (!only) {
        memset(to, 0, bytes);
        return;
    }
    if (!from || !addend) {
        memmove(to, only, bytes);
        return;
    }
    for (int64_t k, at = 0; at < n; at += k) {
        k = weir_part(bf16, n - at);
        float *y = weir_floats_out(bf16, to, at, room[2]);
        sum(k, weir_floats(bf16, addend, at, k, room[0]), weir_floats(bf16, from, at, k, room[1]), y);
        weir_floats_end(bf16, to, at, k, y);
    }
}

/* Columns from `first` on of the whole's row are row `row` of the part. */
static void part_move(const struct parts_job *job, int part, int64_t row, int64_t first, int64_t n)
{
    int64_t here = row * n, there = row * job->width + first;
    void *narrow = job->parts[part].data, *wide = job->whole->data;
    if (job->gathers)
        columns_move(job->bf16, n, weir_element(job->bf16, narrow, here), weir_element(job->bf16, job->addends[0], there),
                     weir_element_out(job->bf16, wide, there));
    else if (narrow)
        columns_move(job->bf16, n, weir_element(job->bf16, wide, there), weir_element(job->bf16, job->addends[part], here),
                     weir_element_out(job->bf16, narrow, here));
}

static void rows_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct parts_job *job = argument;
    int64_t begin = task * job->rows_per_task, end = begin + weir_task_size(job->rows, job->rows_per_task, task);
    for (int64_t row = begin; row < end; row++)
        for (int64_t part = 0, n, first = 0; part < job->n_parts; part++, first += n) {
            n = job->parts[part].shape[job->parts[part].n_dims - 1];
            part_move(job, (int)part, row, first, n);
        }
}

static weir_status run(const struct weir_op_call *call, bool gathers, int n_parts, const struct weir_tensor *parts,
                       const struct weir_tensor *whole, const void *const *addends)
{
    int64_t width = whole->shape[whole->n_dims - 1];
    struct parts_job job = {weir_tensor_bf16(whole), gathers, n_parts, parts, whole, addends, weir_tensor_elements(whole) / width,
                            width, 0};
    job.rows_per_task = width < WEIR_TASK_ELEMENTS ? WEIR_TASK_ELEMENTS / width : 1;
    weir_parallel(call->context, weir_task_count(job.rows, job.rows_per_task), rows_task, &job);
    return WEIR_OK;
}

static const void *const nothing[WEIR_OP_INPUTS]; /* no addends */

weir_status weir_cpu_concat_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return run(call, true, call->n_inputs, call->inputs, &call->output, nothing);
}

weir_status weir_cpu_concat_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return run(call, false, call->n_inputs, call->d_inputs, &call->d_output, call->addends);
}

weir_status weir_cpu_split_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return run(call, false, call->n_outputs, call->outputs, &call->inputs[0], nothing);
}

weir_status weir_cpu_split_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return run(call, true, call->n_outputs, call->d_outputs, &call->d_inputs[0], call->addends);
}
