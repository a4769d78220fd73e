#include "tests/support/reference_ops.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

double reference_dropout(const struct reference_call *call, double p, int64_t sample, int64_t element)
{
    if (p == 0 || !call->step.training)
        return 1;
    struct weir_rng_block block = weir_rng_philox(call->step.seed, (uint32_t)(element / 4), call->node,
                                                  call->first_sample + (uint32_t)sample, call->step.step);
    return weir_rng_unit(block.v[element % 4]) < (float)p ? 0 : 1 / (1 - p);
}

static int64_t last_of(const struct weir_shape *shape)
{
    return shape->dims[shape->n_dims - 1];
}

static void embedding(const struct reference_call *call)
{
    const struct weir_shape *out = &call->shapes->output;
    int64_t positions = out->dims[1], width = out->dims[2], rows = out->dims[0] * positions;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < width; c++) {
            call->output[r * width + c] = call->params[0][(int64_t)call->inputs[0][r] * width + c];
            if (call->shapes->n_params > 1)
                call->output[r * width + c] += call->params[1][r % positions * width + c];
        }
}

static void norm(const struct reference_call *call, bool centred)
{
    const struct weir_norm_attr *attr = call->shapes->attr;
    int64_t n = last_of(&call->shapes->output), rows = weir_shape_elements(&call->shapes->output) / n;
    for (int64_t r = 0; r < rows; r++) {
        const double *x = call->inputs[0] + r * n;
        double mean = 0, square = 0;
        for (int64_t i = 0; i < n && centred; i++)
            mean += x[i] / (double)n;
        for (int64_t i = 0; i < n; i++)
            square += (x[i] - mean) * (x[i] - mean) / (double)n;
        for (int64_t i = 0; i < n; i++) {
            call->output[r * n + i] = (x[i] - mean) / sqrt(square + attr->eps) * call->params[0][i];
            if (call->shapes->n_params > 1)
                call->output[r * n + i] += call->params[1][i];
        }
    }
}

static void layer_norm(const struct reference_call *call)
{
    norm(call, true);
}

static void rms_norm(const struct reference_call *call)
{
    norm(call, false);
}

static void linear(const struct reference_call *call)
{
    const struct weir_linear_attr *attr = call->shapes->attr;
    int64_t in = last_of(&call->shapes->inputs[0]), out = last_of(&call->shapes->output);
    int64_t rows = weir_shape_elements(&call->shapes->output) / out;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < out; o++) {
            double sum = call->shapes->n_params > 1 ? call->params[1][o] : 0;
            for (int64_t i = 0; i < in; i++)
                sum += call->inputs[0][r * in + i] *
                       call->params[0][attr->in_out ? i * out + o : o * in + i];
            call->output[r * out + o] = sum;
        }
}

static void gelu_tanh(const struct reference_call *call)
{
    for (int64_t i = 0; i < weir_shape_elements(&call->shapes->output); i++) {
        double x = call->inputs[0][i];
        call->output[i] = 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    }
}

static void gelu_erf(const struct reference_call *call)
{
    for (int64_t i = 0; i < weir_shape_elements(&call->shapes->output); i++)
        call->output[i] = call->inputs[0][i] * 0.5 * erfc(-call->inputs[0][i] / sqrt(2));
}

static void relu(const struct reference_call *call)
{
    for (int64_t i = 0; i < weir_shape_elements(&call->shapes->output); i++)
        call->output[i] = fmax(call->inputs[0][i], 0);
}

static void silu(const struct reference_call *call)
{
    for (int64_t i = 0; i < weir_shape_elements(&call->shapes->output); i++)
        call->output[i] = call->inputs[0][i] / (1 + exp(-call->inputs[0][i]));
}

/* Row t of q, k or v (`part` 0, 1, 2), packed side by side or apart. */
static const double *attention_operand(const struct reference_call *call, int part, int64_t sample, int64_t head, int64_t t)
{
    const struct weir_attention_attr *attr = call->shapes->attr;
    int64_t heads = attr->n_heads, d = call->shapes->output.dims[2] / heads, kv = attr->kv_heads ? attr->kv_heads : heads;
    int64_t own = part ? kv : heads, row = sample * call->shapes->output.dims[1] + t;
    if (part)
        head = head / (heads / kv);
    if (call->shapes->n_inputs == 3)
        return call->inputs[part] + (row * own + head) * d;
    int64_t before = part == 0 ? 0 : part == 1 ? heads : heads + kv;
    return call->inputs[0] + (row * (heads + 2 * kv) + before + head) * d;
}

/* One row of one head: y (d) from q of the row and all k and v up to it. */
static void attention_row(const struct reference_call *call, int64_t sample, int64_t head, int64_t row)
{
    const struct weir_attention_attr *attr = call->shapes->attr;
    int64_t positions = call->shapes->output.dims[1], width = call->shapes->output.dims[2], d = width / attr->n_heads;
    double *y = call->output + (sample * positions + row) * width + head * d, total = 0;
    const double *q = attention_operand(call, 0, sample, head, row);
    memset(y, 0, (size_t)d * sizeof *y);
    for (int64_t t = 0; t <= row; t++) {
        const double *k = attention_operand(call, 1, sample, head, t), *v = attention_operand(call, 2, sample, head, t);
        double score = 0;
        for (int64_t i = 0; i < d; i++)
            score += q[i] * k[i];
        double e = exp(score / sqrt((double)d));
        double factor = reference_dropout(call, attr->dropout, sample, (head * positions + row) * positions + t);
        total += e;
        for (int64_t i = 0; i < d; i++)
            y[i] += e * factor * v[i];
    }
    for (int64_t i = 0; i < d; i++)
        y[i] /= total;
}

static void attention(const struct reference_call *call)
{
    const struct weir_attention_attr *attr = call->shapes->attr;
    for (int64_t b = 0; b < call->shapes->output.dims[0]; b++)
        for (int64_t h = 0; h < attr->n_heads; h++)
            for (int64_t t = 0; t < call->shapes->output.dims[1]; t++)
                attention_row(call, b, h, t);
}

/* The frequency of pair i as transformers' modeling_rope_utils.py states it. */
static double rope_frequency(const struct weir_rope *r, int64_t i, int64_t d)
{
    double f = 1 / pow(r->theta, (double)(2 * i) / (double)d), wavelength = 2 * M_PI / f;
    if (r->scaling == WEIR_ROPE_LINEAR)
        return f / r->factor;
    if (r->scaling == WEIR_ROPE_PLAIN || wavelength < r->original / r->high)
        return f;
    if (wavelength > r->original / r->low)
        return f / r->factor;
    double smooth = (r->original / wavelength - r->low) / (r->high - r->low);
    return (1 - smooth) * f / r->factor + smooth * f;
}

/* A pair as a complex number, multiplied by e^(i t f). */
static void rope(const struct reference_call *call)
{
    const struct weir_rope_attr *attr = call->shapes->attr;
    const struct weir_shape *shape = &call->shapes->output;
    int64_t d = shape->dims[2] / attr->n_heads;
    for (int64_t i = 0; i < weir_shape_elements(shape); i++) {
        int64_t t = i / shape->dims[2] % shape->dims[1], at = i % d, pair = at % (d / 2);
        const double *x = call->inputs[0] + i - at;
        double angle = (double)t * rope_frequency(&attr->rope, pair, d);
        if (at < d / 2)
            call->output[i] = x[pair] * cos(angle) - x[pair + d / 2] * sin(angle);
        else
            call->output[i] = x[pair] * sin(angle) + x[pair + d / 2] * cos(angle);
    }
}

static void swiglu(const struct reference_call *call)
{
    for (int64_t i = 0; i < weir_shape_elements(&call->shapes->output); i++)
        call->output[i] = call->inputs[0][i] / (1 + exp(-call->inputs[0][i])) * call->inputs[1][i];
}

static void add(const struct reference_call *call)
{
    for (int64_t i = 0; i < weir_shape_elements(&call->shapes->output); i++) {
        call->output[i] = 0;
        for (int j = 0; j < call->shapes->n_inputs; j++)
            call->output[i] += call->inputs[j][i];
    }
}

static void concat(const struct reference_call *call)
{
    int64_t n = last_of(&call->shapes->output), first = 0;
    for (int k = 0; k < call->shapes->n_inputs; k++) {
        int64_t width = last_of(&call->shapes->inputs[k]);
        for (int64_t i = 0; i < weir_shape_elements(&call->shapes->inputs[k]); i++)
            call->output[i / width * n + first + i % width] = call->inputs[k][i];
        first += width;
    }
}

static void split(const struct reference_call *call)
{
    int64_t n = last_of(&call->shapes->inputs[0]), first = 0;
    for (int k = 0; k < call->shapes->n_outputs; k++) {
        int64_t width = last_of(&call->shapes->outputs[k]);
        for (int64_t i = 0; i < weir_shape_elements(&call->shapes->outputs[k]); i++)
            call->outputs[k][i] = call->inputs[0][i / width * n + first + i % width];
        first += width;
    }
}

static void dropout(const struct reference_call *call)
{
    const struct weir_dropout_attr *attr = call->shapes->attr;
    int64_t n = weir_shape_elements(&call->shapes->output), per_sample = n / call->shapes->output.dims[0];
    for (int64_t i = 0; i < n; i++)
        call->output[i] = call->inputs[0][i] * reference_dropout(call, attr->dropout, i / per_sample, i % per_sample);
}

static void cross_entropy(const struct reference_call *call)
{
    int64_t n = last_of(&call->shapes->inputs[0]), rows = weir_shape_elements(&call->shapes->inputs[1]);
    call->output[0] = 0;
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += exp(call->inputs[0][r * n + i]);
        call->output[0] += log(sum) - call->inputs[0][r * n + (int64_t)call->inputs[1][r]];
    }
}

static void mse(const struct reference_call *call)
{
    int64_t n = last_of(&call->shapes->inputs[0]), all = weir_shape_elements(&call->shapes->inputs[0]);
    call->output[0] = 0;
    for (int64_t i = 0; i < all; i++)
        call->output[0] += pow(call->inputs[0][i] - call->inputs[1][i], 2) / (double)n;
}

reference_fn reference_find(const char *name)
{
    static const struct {
        const char *name;
        reference_fn fn;
    } rows[] = {
        {"embedding", embedding}, {"layer_norm", layer_norm}, {"rms_norm", rms_norm}, {"linear", linear},
        {"gelu_tanh", gelu_tanh}, {"gelu_erf", gelu_erf},     {"relu", relu},         {"silu", silu},
        {"attention", attention}, {"add", add},               {"dropout", dropout},   {"cross_entropy", cross_entropy},
        {"mse", mse},             {"rope", rope},             {"swiglu", swiglu},
        {"concat", concat},       {"split", split},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].fn;
    return NULL;
}
