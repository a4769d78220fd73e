#include "cmd/ceilings.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { SIDE = 1024, ARRAY = 8 << 20, LEAST_RUNS = 3, MOST_RUNS = 4096 };

struct team; /* one thread, or for products the thread that opens a team of its own */

typedef weir_status (*work_fn)(struct team *team);

struct team {
    pthread_t thread;
    work_fn work;
    int n_threads;
    int64_t budget_ns;
    float *a, *b, *c;
    const struct weir_op_kernels *linear;
    struct weir_op_call *call;
    struct weir_kernel_context *context;
    double median_ns;
    weir_status status;
    char message[WEIR_ERROR_MAX];
};

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Processor time of this thread. */
static int64_t thread_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The median over the runs in which nobody took the processor away for more than a twentieth; up to four times the budget is
 * spent on finding some.  The fastest of all where there is none. */
static weir_status runs_time(struct team *team, work_fn run)
{
    double *times, least = 0;
    int n = 0;
    weir_status status = weir_alloc(MOST_RUNS, sizeof *times, &times);
    if (!status)
        status = run(team); /* the first touch */
    int64_t begin = weir_clock_ns(), used = 0;
    for (int tried = 0; !status && n < MOST_RUNS; tried++) {
        if (used > team->budget_ns && (n >= LEAST_RUNS || (used > 4 * team->budget_ns && tried >= LEAST_RUNS)))
            break;
        int64_t before = weir_clock_ns(), own = thread_ns();
        status = run(team);
        own = thread_ns() - own;
        double ns = (double)(weir_clock_ns() - before);
        if ((double)own >= 0.95 * ns)
            times[n++] = ns;
        least = tried && least < ns ? least : ns;
        used = weir_clock_ns() - begin;
    }
    if (!status) {
        qsort(times, (size_t)n, sizeof *times, by_value);
        team->median_ns = n ? times[n / 2] : least;
    }
    weir_free(times);
    return status;
}

/* ---- what is measured ---------------------------------------------------------------------------------------------- */

static weir_status triad_run(struct team *team)
{
    float *restrict a = team->a;
    const float *restrict b = team->b, *restrict c = team->c;
    for (int i = 0; i < ARRAY; i++)
        a[i] = b[i] + 0.5f * c[i];
    __asm__ volatile("" : : "r"(a) : "memory");
    return WEIR_OK;
}

static weir_status copy_run(struct team *team)
{
    memcpy(team->a, team->b, ARRAY * sizeof(float));
    __asm__ volatile("" : : "r"(team->a) : "memory");
    return WEIR_OK;
}

static weir_status triad(struct team *team)
{
    return runs_time(team, triad_run);
}

static weir_status copy(struct team *team)
{
    return runs_time(team, copy_run);
}

static weir_status product_run(struct team *team)
{
    return team->linear->forward(team->call, NULL);
}

static void ones_write(enum weir_dtype dtype, void *data)
{
    for (int i = 0; i < SIDE * SIDE; i++)
        if (dtype == WEIR_DTYPE_BF16)
            ((uint16_t *)data)[i] = 0x3f80;
        else
            ((float *)data)[i] = 1;
}

static float element(enum weir_dtype dtype, const void *data, int i)
{
    float x;
    if (dtype == WEIR_DTYPE_F32)
        return ((const float *)data)[i];
    uint32_t bits = (uint32_t)((const uint16_t *)data)[i] << 16;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Of factors that are ones every element is SIDE, which bf16 has too. */
static weir_status product_check(enum weir_dtype dtype, const void *data)
{
    for (int i = 0; i < SIDE * SIDE; i++)
        if (!(element(dtype, data, i) == SIDE))
            return WEIR_FAIL(WEIR_ERR_INTERNAL, "element %d of a matrix product is %g, not %d", i,
                             (double)element(dtype, data, i), SIDE);
    return WEIR_OK;
}

static weir_status product(struct team *team, enum weir_dtype dtype)
{
    struct weir_shape square = {2, {SIDE, SIDE}, dtype};
    struct weir_linear_attr attr = {.out_features = SIDE};
    struct weir_op_shapes shapes = {.attr = &attr, .storage = dtype, .n_inputs = 1, .inputs = {square}};
    struct weir_op_call call = {.attr = &attr, .n_inputs = 1, .n_params = 1};
    void *scratch = NULL;
    weir_status status = weir_op_find("linear", &call.op);
    if (!status)
        status = weir_op_kernels_find(call.op, "cpu", &team->linear);
    if (!status)
        status = call.op->infer(&shapes);
    if (!status)
        status = weir_kernel_context_open(team->n_threads, &team->context);
    if (!status)
        status = weir_alloc(team->linear->scratch_bytes(&shapes, WEIR_FORWARD, team->n_threads) + 64, 1, &scratch);
    ones_write(dtype, team->a);
    ones_write(dtype, team->b);
    call.inputs[0] = weir_tensor_view(team->a, &shapes.inputs[0]);
    call.params[0] = weir_tensor_view(team->b, &shapes.params[0]);
    call.output = weir_tensor_view(team->c, &shapes.output);
    call.scratch = (char *)scratch + (64 - (uintptr_t)scratch % 64) % 64;
    call.context = team->context;
    team->call = &call;
    if (!status)
        status = runs_time(team, product_run);
    if (!status)
        status = product_check(dtype, team->c);
    weir_free(scratch);
    weir_kernel_context_close(team->context);
    return status;
}

static weir_status product_f32(struct team *team)
{
    return product(team, WEIR_DTYPE_F32);
}

static weir_status product_bf16(struct team *team)
{
    return product(team, WEIR_DTYPE_BF16);
}

/* ---- teams --------------------------------------------------------------------------------------------------------- */

static void *team_main(void *argument)
{
    struct team *team = argument;
    team->status = team->work(team);
    if (team->status)
        weir_error_take(team->message);
    return NULL;
}

static weir_status arrays_make(struct team *team)
{
    weir_status status = weir_alloc(ARRAY, sizeof(float), &team->a);
    if (!status)
        status = weir_alloc(ARRAY, sizeof(float), &team->b);
    return status ? status : weir_alloc(ARRAY, sizeof(float), &team->c);
}

static void arrays_release(struct team *team)
{
    weir_free(team->a);
    weir_free(team->b);
    weir_free(team->c);
}

static weir_status teams_run(struct team *teams, int n)
{
    weir_status status = WEIR_OK;
    int started = 0;
    while (started < n && pthread_create(&teams[started].thread, NULL, team_main, &teams[started]) == 0)
        started++;
    for (int i = 0; i < started; i++)
        pthread_join(teams[i].thread, NULL);
    if (started < n)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "cannot start %d threads", n);
    for (int i = 0; i < n && !status; i++) {
        status = teams[i].status;
        if (status)
            weir_error_put(teams[i].message);
    }
    return status;
}

/* The mean over `n` teams of how often each does its work in a second. */
static weir_status rate_measure(work_fn work, int n, int n_threads, int64_t budget_ns, double *per_second_out)
{
    struct team *teams;
    double sum = 0;
    weir_status status = weir_alloc((size_t)n, sizeof *teams, &teams);
    for (int i = 0; !status && i < n; i++) {
        teams[i].work = work;
        teams[i].n_threads = n_threads;
        teams[i].budget_ns = budget_ns;
        status = arrays_make(&teams[i]);
    }
    if (!status)
        status = teams_run(teams, n);
    for (int i = 0; !status && i < n; i++)
        sum += 1e9 / teams[i].median_ns;
    for (int i = 0; teams && i < n; i++)
        arrays_release(&teams[i]);
    weir_free(teams);
    if (!status)
        *per_second_out = sum / n;
    return status;
}

/* The ceiling of products whose factors are stored as `storage`, as products per second. */
static weir_status product_measure(int n_teams, int n_threads, int64_t budget_ns, enum weir_dtype storage, double *per_second_out,
                                   enum weir_dtype *dtype_out)
{
    double products[2] = {0, 0}; /* of f32 factors, of bf16 factors */
    bool bf16 = storage == WEIR_DTYPE_BF16, f32 = !bf16 || !weir_cpu_multiplies_bf16();
    weir_status status = f32 ? rate_measure(product_f32, n_teams, n_threads, budget_ns, &products[0]) : WEIR_OK;
    if (!status && bf16)
        status = rate_measure(product_bf16, n_teams, n_threads, budget_ns, &products[1]);
    if (status)
        return status;
    *dtype_out = products[1] > products[0] ? WEIR_DTYPE_BF16 : WEIR_DTYPE_F32;
    *per_second_out = products[1] > products[0] ? products[1] : products[0];
    return WEIR_OK;
}

weir_status ceilings_measure(int n_teams, int n_threads, int milliseconds, enum weir_dtype storage, struct ceilings *out)
{
    double products, triads, copies;
    enum weir_dtype dtype;
    int64_t budget = (int64_t)milliseconds * 1000000;
    weir_status status = product_measure(n_teams, n_threads, budget, storage, &products, &dtype);
    if (!status)
        status = rate_measure(triad, n_teams * n_threads, 1, budget, &triads);
    if (!status)
        status = rate_measure(copy, n_teams * n_threads, 1, budget, &copies);
    if (!status)
        *out = (struct ceilings){.product = products * 2.0 * SIDE * SIDE * SIDE,
                                 .triad = triads * n_threads * 3.0 * ARRAY * sizeof(float),
                                 .copy = copies * n_threads * 2.0 * ARRAY * sizeof(float),
                                 .product_dtype = dtype};
    return status;
}

static const char *product_dtype(const struct ceilings *ceilings)
{
    return ceilings->product_dtype == WEIR_DTYPE_BF16 ? "bf16" : "f32";
}

void ceilings_print(const struct ceilings *ceilings)
{
    printf("%s product %.1f GFLOP/s, triad %.1f GB/s, copy %.1f GB/s\n", product_dtype(ceilings), ceilings->product / 1e9,
           ceilings->triad / 1e9, ceilings->copy / 1e9);
}

json_t *ceilings_json(const struct ceilings *ceilings)
{
    return json_pack("{s:s, s:f, s:f, s:f}", "product_dtype", product_dtype(ceilings), "product_flops_per_s", ceilings->product,
                     "triad_bytes_per_s", ceilings->triad, "copy_bytes_per_s", ceilings->copy);
}
