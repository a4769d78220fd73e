/* bench_products: the algorithms that cuBLASLt names for the products of GPT-2, timed, for kernels/cuda/cuda_choices.c.
 *
 *     bench_products [tokens width words]       16384 768 50257: a micro-batch of GPT-2 124M in bf16
 *
 * A run of Weir never times anything: it takes the first algorithm that can be run, or the one that the table names.  This
 * makes rows of the table on the kind of device that they are for.  Every product is run with each of its algorithms: the
 * median of ten times, between marks of the device.  Each result is held to the first algorithm's; one that is not near is
 * told and not chosen.  A row is printed where another algorithm than the first is at least 3 % faster. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/text.h"
#include "engine/device/device.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/cuda_lt.h"

enum { WARM = 2, TIMES = 10, SAMPLED = 4096 };

static const struct weir_device_kind *const kind = &weir_device_cuda;

struct rig {
    weir_device *device;
    weir_stream *stream;
    struct weir_cuda_lt *lt;
    void *native, *workspace;
    struct weir_cuda_operands operands;
    void *c;
    char *pinned; /* SAMPLED elements of f32 */
};

struct timing {
    double ms;
    bool is_wrong;
};

/* A benchmark has nobody to hand an error to. */
static void must(weir_status status)
{
    if (!status)
        return;
    fprintf(stderr, "bench_products: %s\n", weir_last_error());
    exit(1);
}

static void *block(struct rig *rig, int64_t elements)
{
    void *memory;
    must(kind->memory_alloc(rig->device, (size_t)elements * sizeof(float), &memory));
    return memory;
}

/* Random bf16 numbers, a part again and again; zeros would be faster than what they stand for. */
static void *numbers(struct rig *rig, int64_t elements)
{
    enum { PART = 1 << 16 };
    char *memory = block(rig, elements);
    void *host;
    must(kind->host_alloc(rig->device, PART * 2, &host));
    for (int i = 0; i < PART; i++) {
        float value = weir_rng_normal(7, (uint64_t)i);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        ((uint16_t *)host)[i] = (uint16_t)(bits >> 16);
    }
    for (int64_t at = 0; at < elements; at += PART)
        must(kind->copy(rig->stream, memory + 2 * at, host, (size_t)(elements - at < PART ? elements - at : PART) * 2));
    must(kind->stream_sync(rig->stream, -1));
    kind->host_free(rig->device, host);
    return memory;
}

/* ---- one product ------------------------------------------------------------------------------------------------------- */

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double element(const struct weir_cuda_product *p, const char *x, int64_t i)
{
    float value;
    uint32_t bits = (uint32_t)((const uint16_t *)(const void *)x)[i] << 16;
    memcpy(&value, p->result_type == WEIR_DTYPE_BF16 ? (const char *)&bits : x + 4 * i, sizeof value);
    return (double)value;
}

/* The beginning of the result against `first`, which the first algorithm fills in. */
static bool is_near(struct rig *rig, const struct weir_cuda_product *p, double *first, bool fills)
{
    int64_t n = p->m * p->n < SAMPLED ? p->m * p->n : SAMPLED;
    double most = 0, worst = 0;
    must(kind->copy(rig->stream, rig->pinned, rig->c, (size_t)n * (p->result_type == WEIR_DTYPE_BF16 ? 2 : 4)));
    must(kind->stream_sync(rig->stream, -1));
    for (int64_t i = 0; i < n; i++) {
        double value = element(p, rig->pinned, i);
        first[i] = fills ? value : first[i];
        most = fmax(most, fabs(first[i]));
        worst = fmax(worst, isnan(value) ? INFINITY : fabs(value - first[i]));
    }
    return worst <= most / 64;
}

static weir_status candidate_time(struct rig *rig, const struct weir_cuda_product *p, struct weir_cuda_lt_plan *plan,
                                  int candidate, double *first, struct timing *out)
{
    int64_t marks[TIMES + 1] = {0};
    double ms[TIMES];
    struct weir_cuda_operands operands = rig->operands;
    operands.addend = p->add ? rig->operands.addend : NULL;
    weir_status status = WEIR_OK;
    for (int i = 0; i < WARM && !status; i++)
        status = weir_cuda_lt_run(rig->lt, plan, candidate, &operands, rig->native);
    must(kind->mark(rig->stream, &marks[0]));
    for (int i = 0; i < TIMES && !status; i++) {
        status = weir_cuda_lt_run(rig->lt, plan, candidate, &operands, rig->native);
        must(kind->mark(rig->stream, &marks[i + 1]));
    }
    must(kind->stream_sync(rig->stream, -1));
    if (status)
        return status;
    for (int i = 0; i < TIMES; i++)
        ms[i] = (double)(marks[i + 1] - marks[i]) * 1e-6;
    qsort(ms, TIMES, sizeof ms[0], double_compare);
    *out = (struct timing){ms[TIMES / 2], !is_near(rig, p, first, candidate == 0)};
    return WEIR_OK;
}

static void row_print(const struct rig *rig, const char *what, const struct weir_cuda_product *p, int candidate, double ms,
                      double first_ms)
{
    printf("    {\"%s\", %" PRIu64 ", false, {%" PRId64 ", %" PRId64 ", %" PRId64 "%s%s%s%s, .type = WEIR_DTYPE_BF16, .result_type = %s}, "
           "%d}, /* %s: %.3f ms, the first %.3f */\n",
           weir_cuda_lt_device(rig->lt), weir_cuda_lt_version(rig->lt), p->m, p->n, p->k, p->transpose_a ? ", .transpose_a = true" : "",
           p->transpose_b ? ", .transpose_b = true" : "", p->add ? ", .add = true" : "", p->bias ? ", .bias = true" : "",
           p->result_type == WEIR_DTYPE_BF16 ? "WEIR_DTYPE_BF16" : "WEIR_DTYPE_F32", candidate, what, ms, first_ms);
}

static void product_time(struct rig *rig, const char *what, const struct weir_cuda_product *p)
{
    struct weir_cuda_lt_plan *plan;
    struct timing timings[WEIR_CUDA_CANDIDATES];
    double first[SAMPLED];
    int n = 0, best = -1;
    weir_status status = weir_cuda_lt_plan_open(rig->lt, p, &plan, &n);
    printf("%s, %" PRId64 " x %" PRId64 " x %" PRId64 "%s:", what, p->m, p->n, p->k, p->add ? ", added" : "");
    if (status || n == 0)
        printf(" %s", status ? weir_last_error() : "no algorithm");
    for (int i = 0; i < n; i++) {
        if (candidate_time(rig, p, plan, i, first, &timings[i])) {
            printf(" -");
            continue;
        }
        printf(" %.3f%s", timings[i].ms, timings[i].is_wrong ? " (wrong)" : "");
        if (!timings[i].is_wrong && (best < 0 || timings[i].ms < timings[best].ms))
            best = i;
    }
    printf(" ms\n");
    if (best > 0 && timings[best].ms < 0.97 * timings[0].ms)
        row_print(rig, what, p, best, timings[best].ms, timings[0].ms);
    fflush(stdout);
    if (n > 0)
        weir_cuda_lt_plan_close(plan);
}

/* ---- GPT-2 --------------------------------------------------------------------------------------------------------------- */

/* The three products of a linear layer; weights as GPT-2's files have them, (in, out), the head's the other way round. */
static void linear_time(struct rig *rig, const char *name, int64_t rows, int64_t in, int64_t out, bool head)
{
    const enum weir_dtype bf16 = WEIR_DTYPE_BF16, f32 = WEIR_DTYPE_F32;
    char what[64];
    struct weir_cuda_product p = {rows, out, in, .transpose_b = head, .bias = !head, .type = bf16, .result_type = bf16};
    snprintf(what, sizeof what, "%s y", name);
    product_time(rig, what, &p);
    p = (struct weir_cuda_product){rows, in, out, .transpose_b = !head, .type = bf16, .result_type = bf16};
    snprintf(what, sizeof what, "%s dx", name);
    product_time(rig, what, &p);
    snprintf(what, sizeof what, "%s dw", name);
    for (int add = 0; add < 2; add++) {
        p = (struct weir_cuda_product){head ? out : in, head ? in : out, rows, .transpose_a = true, .add = add, .type = bf16,
                                       .result_type = f32};
        product_time(rig, what, &p);
    }
}

static void rig_open(struct rig *rig, int64_t most)
{
    must(kind->open(0, 1, &rig->device));
    must(kind->stream_open(rig->device, WEIR_STREAM_COMPUTE, 1 << 16, &rig->stream));
    must(kind->native(rig->stream, &rig->native));
    must(kind->memory_alloc(rig->device, WEIR_CUDA_WORKSPACE_BYTES, &rig->workspace));
    must(weir_cuda_lt_open(rig->workspace, WEIR_CUDA_WORKSPACE_BYTES, false, &rig->lt));
    must(kind->host_alloc(rig->device, SAMPLED * sizeof(float), (void **)(void *)&rig->pinned));
    rig->c = block(rig, most);
    rig->operands = (struct weir_cuda_operands){numbers(rig, most), numbers(rig, most), numbers(rig, most), block(rig, most), rig->c};
}

static void rig_close(struct rig *rig)
{
    void *const blocks[] = {(void *)(uintptr_t)rig->operands.a, (void *)(uintptr_t)rig->operands.b,
                            (void *)(uintptr_t)rig->operands.bias, (void *)(uintptr_t)rig->operands.addend, rig->c,
                            rig->workspace};
    weir_cuda_lt_close(rig->lt);
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        kind->memory_free(rig->device, blocks[i]);
    kind->host_free(rig->device, rig->pinned);
    kind->stream_close(rig->stream);
    kind->close(rig->device);
}

int main(int argc, char **argv)
{
    int64_t sizes[3] = {16384, 768, 50257};
    int n_devices;
    struct rig rig;
    for (int i = 1; i < argc && i < 4; i++)
        if (!weir_parse_int64(argv[i], &sizes[i - 1]) || sizes[i - 1] < 1) {
            fprintf(stderr, "bench_products: '%s' is no number of tokens, columns or words\n", argv[i]);
            return 2;
        }
    int64_t rows = sizes[0], width = sizes[1], words = sizes[2];
    int64_t widest = words > 4 * width ? words : 4 * width, longest = rows > width ? rows : width;
    must(kind->count(&n_devices));
    rig_open(&rig, longest * widest);
    printf("%s, cublaslt %" PRIu64 ", median of %d, in cublaslt's order\n", weir_cuda_lt_device(rig.lt), weir_cuda_lt_version(rig.lt),
           TIMES);
    linear_time(&rig, "c_attn", rows, width, 3 * width, false);
    linear_time(&rig, "c_proj", rows, width, width, false);
    linear_time(&rig, "c_fc", rows, width, 4 * width, false);
    linear_time(&rig, "mlp c_proj", rows, 4 * width, width, false);
    linear_time(&rig, "lm_head", rows, width, words, true);
    rig_close(&rig);
    return 0;
}
