/* rope: one position of all samples and heads per task, so that its sines and cosines are computed once.
 *
 * Angles, sines and cosines are computed in double and rounded once.  The backward turns the other way.
 *
 * scratch: d / 2 frequencies (double), and per thread d / 2 cosines and sines (float); for bf16 two heads as well. */
#include <math.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/storage.h"

struct job {
    const struct weir_op_call *call;
    bool bf16;
    const void *x, *addend;
    void *y;
    int64_t samples, positions, width, d;
    int64_t first; /* where row 0 stands in its sequence */
    double direction; /* -1 in the backward */
};

static double frequency(const struct weir_rope *r, int64_t i, int64_t d)
{
    const double turn = 6.283185307179586477;
    double f = pow(r->theta, -2.0 * (double)i / (double)d), wavelength = turn / f;
    if (r->scaling == WEIR_ROPE_PLAIN || (r->scaling == WEIR_ROPE_LLAMA3 && wavelength < r->original / r->high))
        return f;
    if (r->scaling == WEIR_ROPE_LINEAR || wavelength > r->original / r->low)
        return f / r->factor;
    double smooth = (r->original / wavelength - r->low) / (r->high - r->low);
    return (1 - smooth) * f / r->factor + smooth * f;
}

/* One head; y may be the addend. */
WEIR_KERNEL static void head_turn(int64_t half, const float *x, const float *cosines, const float *sines,
                                  const float *addend, float *y)
{
    if (addend) {
        WEIR_LOOP
        for (int64_t i = 0; i < half; i++) {
            float a = x[i], b = x[i + half], low = addend[i], high = addend[i + half];
            y[i] = low + (a * cosines[i] - b * sines[i]);
            y[i + half] = high + (b * cosines[i] + a * sines[i]);
        }
    } else {
        WEIR_LOOP
        for (int64_t i = 0; i < half; i++) {
            float a = x[i], b = x[i + half];
            y[i] = a * cosines[i] - b * sines[i];
            y[i + half] = b * cosines[i] + a * sines[i];
        }
    }
}

static void task_run(const void *argument, int64_t position, int thread)
{
    const struct job *job = argument;
    int64_t half = job->d / 2;
    const double *frequencies = job->call->scratch;
    float *cosines = (float *)job->call->scratch + job->d + thread * job->d * (job->bf16 ? 3 : 1), *sines = cosines + half;
    float *room = cosines + job->d; /* bf16 only */
    for (int64_t i = 0; i < half; i++) {
        double angle = (double)(job->first + position) * frequencies[i];
        cosines[i] = (float)cos(angle);
        sines[i] = (float)(job->direction * sin(angle));
    }
    for (int64_t sample = 0; sample < job->samples; sample++) {
        int64_t at = (sample * job->positions + position) * job->width;
        for (int64_t end = at + job->width; at < end; at += job->d) {
            float *y = weir_floats_out(job->bf16, job->y, at, room + job->d);
            head_turn(half, weir_floats(job->bf16, job->x, at, job->d, room), cosines, sines,
                      weir_floats(job->bf16, job->addend, at, job->d, room + job->d), y);
            weir_floats_end(job->bf16, job->y, at, job->d, y);
        }
    }
}

static weir_status turn(struct job job, const struct weir_tensor *shape)
{
    const struct weir_rope_attr *attr = job.call->attr;
    job.bf16 = weir_tensor_bf16(shape);
    job.samples = shape->shape[0];
    job.positions = shape->shape[1];
    job.width = shape->shape[2];
    job.d = job.width / attr->n_heads;
    job.first = job.call->sequence ? job.call->sequence->position : job.call->first_position;
    for (int64_t i = 0; i < job.d / 2; i++)
        ((double *)job.call->scratch)[i] = frequency(&attr->rope, i, job.d);
    weir_parallel(job.call->context, job.positions, task_run, &job);
    return WEIR_OK;
}

size_t weir_cpu_rope_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    const struct weir_rope_attr *attr = shapes->attr;
    size_t d = (size_t)(shapes->inputs[0].dims[2] / attr->n_heads);
    size_t per_thread = shapes->storage == WEIR_DTYPE_BF16 ? 3 * d : d;
    return pass == WEIR_BACKWARD_WEIGHT ? 0 : (d + (size_t)n_threads * per_thread) * sizeof(float);
}

weir_status weir_cpu_rope_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return turn((struct job){.call = call, .x = call->inputs[0].data, .y = call->output.data, .direction = 1},
                &call->output);
}

weir_status weir_cpu_rope_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return turn((struct job){.call = call, .x = call->d_output.data, .addend = call->addends[0],
                             .y = call->d_inputs[0].data, .direction = -1},
                &call->d_output);
}
