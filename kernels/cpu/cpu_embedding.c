/* embedding: y (B, T, C) = wte[token] + wpe[position of t]; padding becomes zeros.  Gradients are summed token by token in ascending order; with threads
 * each takes a block of columns, so that the order stays the same. */
#include <inttypes.h>

#include "kernels/cpu/columns.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/storage.h"

enum { ROWS_PER_TASK = 16, COLUMNS_PER_TASK = 256 };

static weir_status tokens_check(const struct weir_op_call *call, int64_t vocabulary)
{
    const int32_t *tokens = call->inputs[0].data;
    int64_t n = weir_tensor_elements(&call->inputs[0]), positions = call->inputs[0].shape[1];
    for (int64_t i = 0; i < n; i++)
        if (tokens[i] < 0 || tokens[i] >= vocabulary)
            return WEIR_FAIL(WEIR_ERR_INVALID, "token %" PRId32 " at position %" PRId64 " of sample %" PRId64
                             " is outside the vocabulary of %" PRId64, tokens[i], i % positions, i / positions,
                             vocabulary);
    return WEIR_OK;
}

static weir_status position_check(const struct weir_op_call *call)
{
    int64_t end = call->sequence ? call->sequence->position + call->sequence->n_rows
                                 : call->first_position + call->inputs[0].shape[1];
    if (call->n_params < 2 || end <= call->params[1].shape[0])
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "position %" PRId64 " is past the table's %" PRId64, end - 1,
                     call->params[1].shape[0]);
}

WEIR_KERNEL static void row_make(int64_t n, const float *token, const float *position, float *y)
{
    if (!position) {
        memcpy(y, token, (size_t)n * sizeof *y);
        return;
    }
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = token[i] + position[i];
}

/* Row r of the output: row `token` of wte, and row `position` of wpe where there is one. */
static void row_write(const struct weir_op_call *call, int64_t r, int64_t token, int64_t position)
{
    float room[3][WEIR_ROOM];
    bool bf16 = weir_tensor_bf16(&call->output);
    const void *wpe = call->n_params > 1 ? call->params[1].data : NULL;
    int64_t width = call->output.shape[2];
    for (int64_t n, i = 0; i < width; i += n) {
        n = weir_part(bf16, width - i);
        float *y = weir_floats_out(bf16, call->output.data, r * width + i, room[2]);
        row_make(n, weir_floats(bf16, call->params[0].data, token * width + i, n, room[0]),
                 weir_floats(bf16, wpe, position * width + i, n, room[1]), y);
        weir_floats_end(bf16, call->output.data, r * width + i, n, y);
    }
}

static void forward_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct weir_op_call *call = argument;
    const int32_t *tokens = call->inputs[0].data;
    bool bf16 = weir_tensor_bf16(&call->output);
    int64_t positions = call->inputs[0].shape[1], width = call->output.shape[2];
    int64_t n = weir_task_size(call->inputs[0].shape[0] * positions, ROWS_PER_TASK, task);
    struct weir_sequence at = call->sequence ? *call->sequence : (struct weir_sequence){call->first_position, positions};
    for (int64_t r = task * ROWS_PER_TASK, end = r + n; r < end; r++) {
        int64_t t = r % positions;
        if (t < at.n_rows)
            row_write(call, r, tokens[r], at.position + t);
        else
            memset(weir_element_out(bf16, call->output.data, r * width), 0, (size_t)width * (bf16 ? 2 : 4));
    }
}

weir_status weir_cpu_embedding_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    weir_status status = tokens_check(call, call->params[0].shape[0]);
    if (!status)
        status = position_check(call);
    if (status)
        return status;
    int64_t rows = weir_tensor_elements(&call->inputs[0]);
    weir_parallel(call->context, weir_task_count(rows, ROWS_PER_TASK), forward_task, call);
    return WEIR_OK;
}

static void columns_clear(const struct weir_tensor *table, int64_t column, int64_t n)
{
    float *data = table->data;
    int64_t width = table->shape[1];
    if (n == width)
        memset(data, 0, (size_t)(table->shape[0] * width) * sizeof *data);
    else
        for (int64_t r = 0; r < table->shape[0]; r++)
            memset(data + r * width + column, 0, (size_t)n * sizeof *data);
}

static void backward_columns(const struct weir_op_call *call, int64_t column, int64_t n)
{
    const int32_t *tokens = call->inputs[0].data;
    int64_t width = call->d_output.shape[2], positions = call->d_output.shape[1], first = call->first_position;
    int64_t rows = call->d_output.shape[0] * positions;
    float room[WEIR_ROOM], *wte = (float *)call->d_params[0].data + column;
    float *wpe = call->n_params > 1 ? (float *)call->d_params[1].data + column : NULL;
    for (int p = 0; p < call->n_params && !call->accumulate; p++)
        columns_clear(&call->d_params[p], column, n);
    bool bf16 = weir_tensor_bf16(&call->d_output);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t part, i = 0; i < n; i += part) {
            part = weir_part(bf16, n - i);
            const float *dy = weir_floats(bf16, call->d_output.data, r * width + column + i, part, room);
            weir_columns_add(part, dy, wte + tokens[r] * width + i);
            if (wpe)
                weir_columns_add(part, dy, wpe + (first + r % positions) * width + i);
        }
}

static void backward_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct weir_op_call *call = argument;
    backward_columns(call, task * COLUMNS_PER_TASK, weir_task_size(call->d_output.shape[2], COLUMNS_PER_TASK, task));
}

weir_status weir_cpu_embedding_backward_weight(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    int64_t width = call->d_output.shape[2];
    weir_status status = tokens_check(call, call->d_params[0].shape[0]);
    if (status)
        return status;
    if (call->context->n_threads == 1)
        backward_columns(call, 0, width);
    else
        weir_parallel(call->context, weir_task_count(width, COLUMNS_PER_TASK), backward_task, call);
    return WEIR_OK;
}
