/* bench_cpu_products: the matrix products of a training step by Weir and by BLAS libraries, for docs/products.md.
 *
 * Each product is computed by all candidates in turns, ROUNDS times over, each time in the opposite order; a turn lasts a
 * ROUNDS-th of --milliseconds, and one product at least.  The median of all its times counts.  By default a second process
 * does the same beside it (neighbour.h): both begin each turn together.  A candidate whose result is not Weir's gets no
 * figure (product_rig.h).
 *
 * Times are of processor use by all threads of the process: while other work has the processor, the clock stands.  What that
 * work leaves in the caches still counts.
 *   GFLOP/s   2 m n k / median
 *   %         of the highest rate of the cube in this run
 *   a step    flops of a micro-batch of the model / the sum of its medians; - where a candidate has not computed them all */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "bench/neighbour.h"
#include "bench/product_rig.h"
#include "bench/step_products.h"
#include "weir_libraries.h"

enum { ROUNDS = 6, MOST_TIMES = 20000, MOST_BLAS = 6, MOST_CANDIDATES = MOST_BLAS + 2 };

static const char usage[] =
    "usage: bench_cpu_products [OPTION ...]\n"
    "  --model NAME       gpt2, llama or small (for tests); default gpt2 and llama\n"
    "  --dtype NAME       f32 or bf16; a BLAS has f32 only\n"
    "  --blas PATH        a shared library with cblas_sgemm, beside Weir's own products; up to 6 times\n"
    "  --milliseconds N   time for each product and candidate, default 600\n"
    "  --alone            no second process on another processor\n"
    "  --json             a result for bench/compare.py in place of the table\n"
    "Libraries choose their kernels by the processor.  Their own variables limit them, here to AVX2:\n"
    "  ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell BLIS_ARCH_TYPE=haswell bench_cpu_products ...\n";

struct options {
    const struct step_model *model; /* NULL: gpt2 and llama */
    enum weir_dtype dtype;
    const char *blas[MOST_BLAS];
    int n_blas;
    int64_t budget_ns;
    bool alone, json;
};

struct result {
    bool tried, right;
    int64_t median, fastest; /* ns */
};

struct bench {
    const struct options *options;
    struct neighbour other;
    struct weir_kernel_context *context;
    struct candidate candidates[MOST_CANDIDATES];
    int n_candidates;
    double cube_rate; /* GFLOP/s of the fastest, of the model at hand */
    json_t *rows;     /* NULL without --json */
};

struct times {
    int64_t *ns;
    int n;
};

/* ---- options ---------------------------------------------------------------------------------------------------------- */

static void must(weir_status status)
{
    if (!status)
        return;
    fprintf(stderr, "bench_cpu_products: %s\n", weir_last_error());
    exit(weir_status_exit_code(status));
}

static weir_status model_find(const char *name, const struct step_model **out)
{
    const char *names[8] = {NULL};
    int index;
    for (int i = 0; step_models[i].name; i++)
        names[i] = step_models[i].name;
    weir_status status = weir_name_find("model", name, names, &index);
    if (!status)
        *out = &step_models[index];
    return status;
}

static weir_status dtype_find(const char *name, enum weir_dtype *out)
{
    static const char *const names[] = {"f32", "bf16", NULL};
    int index;
    weir_status status = weir_name_find("dtype", name, names, &index);
    if (!status)
        *out = index ? WEIR_DTYPE_BF16 : WEIR_DTYPE_F32;
    return status;
}

static weir_status budget_find(const char *text, int64_t *out)
{
    int64_t ms;
    if (!weir_parse_int64(text, &ms) || ms < 1 || ms > 1000000)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--milliseconds must be from 1 to 1000000, not '%s'", text);
    *out = ms * 1000000;
    return WEIR_OK;
}

static weir_status blas_add(const char *path, struct options *o)
{
    if (o->n_blas == MOST_BLAS)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--blas is taken %d times at most", MOST_BLAS);
    o->blas[o->n_blas++] = path;
    return WEIR_OK;
}

static weir_status valued_read(const char *option, const char *value, struct options *o)
{
    if (!value)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s needs a value", option);
    if (!strcmp(option, "--model"))
        return model_find(value, &o->model);
    if (!strcmp(option, "--dtype"))
        return dtype_find(value, &o->dtype);
    return strcmp(option, "--blas") ? budget_find(value, &o->budget_ns) : blas_add(value, o);
}

static weir_status option_read(char **argv, int *i, struct options *o)
{
    static const char *const names[] = {"--model", "--dtype", "--blas", "--milliseconds", "--alone", "--json", "--help", NULL};
    int index;
    weir_status status = weir_name_find("option", argv[*i], names, &index);
    if (status)
        return status;
    if (index < 4) {
        const char *option = argv[*i];
        return valued_read(option, argv[++*i], o);
    }
    o->alone |= index == 4;
    o->json |= index == 5;
    if (index == 6) {
        fputs(usage, stdout);
        exit(0);
    }
    return WEIR_OK;
}

static struct options options_read(int argc, char **argv)
{
    struct options o = {.budget_ns = 600000000};
    for (int i = 1; i < argc; i++)
        must(option_read(argv, &i, &o));
    if (o.dtype == WEIR_DTYPE_BF16 && o.n_blas)
        must(WEIR_FAIL(WEIR_ERR_USAGE, "--blas has products of f32 only: leave it out with --dtype bf16"));
    return o;
}

/* ---- candidates ------------------------------------------------------------------------------------------------------- */

static struct candidate *candidate_add(struct bench *b, const char *name, enum candidate_kind kind)
{
    struct candidate *c = &b->candidates[b->n_candidates++];
    int alike = 1;
    *c = (struct candidate){.kind = kind};
    for (const struct candidate *other = b->candidates; other < c; other++)
        alike += !strncmp(other->name, name, strlen(name));
    snprintf(c->name, sizeof c->name, alike > 1 ? "%s %d" : "%s", name, alike);
    return c;
}

static void candidates_open(struct bench *b)
{
    candidate_add(b, "weir", CANDIDATE_WEIR);
    for (int i = 0; i < b->options->n_blas; i++) {
        struct loaded_blas blas;
        must(loaded_blas_open(b->options->blas[i], &blas));
        candidate_add(b, blas.kind, CANDIDATE_BLAS)->blas = blas;
    }
    if (b->options->dtype == WEIR_DTYPE_F32)
        candidate_add(b, "plain", CANDIDATE_PLAIN);
}

/* The plain product takes too long for more than the cube. */
static bool takes(const struct candidate *candidate, const struct step_product *p)
{
    return candidate->kind != CANDIDATE_PLAIN || !p->per_step;
}

/* ---- measuring -------------------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* ns for which a processor ran this process */
static int64_t used_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void turn(const struct product_rig *rig, const struct candidate *candidate, int64_t budget_ns, struct times *times)
{
    int64_t end = weir_clock_ns() + budget_ns;
    do {
        int64_t before = used_ns();
        must(product_rig_run(rig, candidate));
        if (times->n < MOST_TIMES)
            times->ns[times->n++] = used_ns() - before;
    } while (weir_clock_ns() < end);
}

static void turns(const struct bench *b, const struct product_rig *rig, const struct result *results, struct times *times)
{
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < b->n_candidates; i++) {
            int candidate = round % 2 ? b->n_candidates - 1 - i : i;
            must(neighbour_meet(&b->other));
            if (results[candidate].right)
                turn(rig, &b->candidates[candidate], b->options->budget_ns / ROUNDS, &times[candidate]);
        }
}

static void measure(const struct bench *b, const struct step_product *p, struct result *results)
{
    static int64_t room[MOST_CANDIDATES][MOST_TIMES];
    struct times times[MOST_CANDIDATES];
    struct product_rig rig;
    must(product_rig_open(&rig, b->context, &p->product));
    for (int i = 0; i < b->n_candidates; i++) {
        times[i] = (struct times){room[i], 0};
        results[i] = (struct result){.tried = takes(&b->candidates[i], p)};
        if (results[i].tried)
            must(product_rig_check(&rig, &b->candidates[i], &results[i].right));
    }
    turns(b, &rig, results, times);
    for (int i = 0; i < b->n_candidates; i++)
        if (times[i].n) {
            qsort(times[i].ns, (size_t)times[i].n, sizeof *times[i].ns, by_time);
            results[i].median = times[i].ns[times[i].n / 2];
            results[i].fastest = times[i].ns[0];
        }
    product_rig_close(&rig);
}

/* ---- what is printed -------------------------------------------------------------------------------------------------- */

static void processor_print(void)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file) && line[0] != '\n') {
        char *value = strstr(line, ": ");
        if (value && (!strncmp(line, "model name", 10) || !strncmp(line, "cpu family", 10) || !strncmp(line, "model\t", 6)))
            printf("%s %.*s, ", !strncmp(line, "model name", 10) ? "processor" : line[0] == 'c' ? "family" : "model",
                   (int)strcspn(value + 2, "\n"), value + 2);
    }
    if (file)
        fclose(file);
}

static void weir_print(void)
{
    const char *limit = getenv("ONEDNN_MAX_CPU_ISA");
#define VERSION(name, have, version, option, used) {name, version},
    static const struct {
        const char *name, *version;
    } libraries[] = {WEIR_LIBRARIES_TABLE(VERSION)};
#undef VERSION
    printf("  weir        %s\n", WEIR_VERSION);
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries && WEIR_HAVE_ONEDNN; i++)
        if (!strcmp(libraries[i].name, "oneDNN"))
            printf("              through oneDNN %s%s%s\n", libraries[i].version, limit ? ", at most " : "", limit ? limit : "");
    if (!WEIR_HAVE_ONEDNN)
        printf("              through the plain product\n");
}

static void head_print(const struct bench *b)
{
    const struct options *o = b->options;
    processor_print();
    printf("%s, ", o->dtype == WEIR_DTYPE_F32 ? "f32" : "bf16");
    if (o->alone)
        printf("one thread on processor %d alone\n", b->other.processors[0]);
    else
        printf("one thread on processor %d beside one on %d\n", b->other.processors[0], b->other.processors[1]);
    weir_print();
    for (int i = 0; i < o->n_blas; i++)
        printf("  %-10s  %s\n              %s\n", b->candidates[1 + i].name, o->blas[i], b->candidates[1 + i].blas.about);
}

static void table_head_print(const struct bench *b)
{
    printf("\n%-9s %-8s %-22s", "product", "pass", "C (m, n), k");
    for (int i = 0; i < b->n_candidates; i++)
        printf(" %12s     %%", b->candidates[i].name);
    printf("\n");
}

static void rate_print(const struct bench *b, const struct result *r, double flops)
{
    double rate = r->median ? flops / (double)r->median : 0;
    if (!r->tried || !r->right)
        printf(" %12s      ", r->tried ? "wrong" : "-");
    else
        printf(" %12.1f %4.0f%%", rate, 100 * rate / b->cube_rate);
}

static void shape_text(const struct weir_product *p, char *text, size_t bytes)
{
    snprintf(text, bytes, "%lld x %lld, %lld", (long long)p->m, (long long)p->n, (long long)p->k);
}

static void row_add(const struct bench *b, const struct step_model *model, const struct step_product *p, const struct result *r)
{
    char shape[64], name[64];
    shape_text(&p->product, shape, sizeof shape);
    for (int i = 0; i < b->n_candidates; i++) {
        if (!r[i].right)
            continue;
        snprintf(name, sizeof name, "%s %s, %s", model->name, p->name, b->candidates[i].name);
        json_array_append_new(b->rows, json_pack("{s:s, s:s, s:s, s:f, s:f}", "operation", name, "pass", p->pass, "shape", shape,
                                                 "fastest_us", (double)r[i].fastest / 1e3, "median_us", (double)r[i].median / 1e3));
    }
}

static void row_print(const struct bench *b, const struct step_product *p, const struct result *results)
{
    char shape[64];
    shape_text(&p->product, shape, sizeof shape);
    printf("%-9s %-8s %-22s", p->name, p->pass, shape);
    for (int i = 0; i < b->n_candidates; i++)
        rate_print(b, &results[i], step_product_flops(&p->product));
    printf("\n");
    fflush(stdout);
}

/* A product is measured and told; its times are added to those of a step. */
static void product_do(struct bench *b, const struct step_model *model, const struct step_product *p, struct result *step)
{
    struct result results[MOST_CANDIDATES];
    double flops = step_product_flops(&p->product);
    measure(b, p, results);
    for (int i = 0; i < b->n_candidates; i++) {
        double rate = results[i].right ? flops / (double)results[i].median : 0;
        if (!p->per_step && rate > b->cube_rate)
            b->cube_rate = rate;
        if (p->per_step)
            step[i] = (struct result){step[i].tried && results[i].tried, step[i].right && results[i].right,
                                      step[i].median + p->per_step * results[i].median, 0};
    }
    if (b->rows)
        row_add(b, model, p, results);
    else
        row_print(b, p, results);
}

static void model_do(struct bench *b, const struct step_model *model)
{
    struct result step[MOST_CANDIDATES];
    double flops = 0;
    for (int i = 0; i < b->n_candidates; i++)
        step[i] = (struct result){.tried = true, .right = true};
    if (!b->rows)
        table_head_print(b);
    b->cube_rate = 0;
    struct step_product cube = step_cube_of(model, b->options->dtype);
    product_do(b, model, &cube, step);
    for (int i = 0; i < 3 * model->n_linears; i++) {
        struct step_product p = step_product_of(model, i, b->options->dtype);
        flops += p.per_step * step_product_flops(&p.product);
        product_do(b, model, &p, step);
    }
    if (b->rows)
        return;
    printf("a step of %-30s", model->name);
    for (int i = 0; i < b->n_candidates; i++)
        rate_print(b, &step[i], flops);
    printf("\n");
}

int main(int argc, char **argv)
{
    struct options o = options_read(argc, argv);
    struct bench b = {.options = &o};
    must(o.alone ? neighbour_alone(&b.other) : neighbour_start(&b.other));
    must(weir_kernel_context_open(1, &b.context));
    candidates_open(&b);
    if (o.json)
        b.rows = json_array();
    else
        head_print(&b);
    for (int i = 0; step_models[i].name; i++)
        if (o.model ? o.model == &step_models[i] : strcmp(step_models[i].name, "small") != 0)
            model_do(&b, &step_models[i]);
    if (b.rows) {
        json_t *all = json_pack("{s:s, s:s, s:o}", "model", o.model ? o.model->name : "gpt2 and llama", "dtype",
                                o.dtype == WEIR_DTYPE_BF16 ? "bf16" : "f32", "rows", b.rows);
        json_dumpf(all, stdout, JSON_INDENT(1));
        printf("\n");
        json_decref(all);
    }
    weir_kernel_context_close(b.context);
    return 0;
}
