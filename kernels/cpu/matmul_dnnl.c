/* matmul.h through oneDNN: one primitive per product, made once and kept with the memory objects of its arguments. */
#include "kernels/cpu/matmul.h"
#include "weir_libraries.h"

#if WEIR_HAVE_ONEDNN

#include <dlfcn.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/cpu/dnnl_api.h"
#include "kernels/cpu/parallel.h"

enum {
    ARGS = 5,                /* source, weights, destination, scratchpad, bias */
    LINE = 64,               /* bytes */
    PAGE = 4096,             /* rows that lie a multiple of this apart share few sets of a cache */
    LEAST_ROWS = 32,         /* of C: with fewer, copying B takes longer than it saves */
    ROWS_PER_TASK = 16,
    LARGE = 12288, PART = 3072, /* terms of a sum: longer ones are done in parts */
    COLUMNS = 512,              /* of C, for each thread: done in parts with AVX2 */
    PACKED_ROWS = 64,           /* of C: with fewer, packing B takes longer than it saves */
    /* where the kernels called gemm are faster: rows of C, terms of a sum, elements of a weight */
    GEMM_ROWS = 64, GEMM_BF16_ROWS = 512, GEMM_TERMS = 128, GEMM_BF16_TERMS = 64, GEMM_WEIGHT = 1 << 19,
    KINDS = 3,                  /* of parts: the first, a later one, the last */
    PRIMITIVE_BYTES = 8 << 20, /* that making one may take for a moment: several times what was seen */
    PACKED_BYTES = 10 << 20, /* measured with oneDNN 2.6 and SSE4.1, AVX, AVX2 and AVX-512 (6 MB): at most */
};

static const char GEMM[] = "gemm:jit";

/* What one primitive computes: a product, a part of its sums, or some columns. */
struct piece {
    struct weir_product product;
    int64_t a_stride, c_stride; /* elements from one row of A, or of C, in memory to the next */
};

/* One primitive with the memory objects of its arguments, whose handles every call sets anew. */
struct primitive {
    struct piece piece;
    dnnl_primitive_t primitive;
    int n_args;
    dnnl_exec_arg_t args[ARGS];
    dnnl_primitive_t packing; /* of B; NULL: it is not packed */
    dnnl_exec_arg_t packing_args[2];
};

struct openmp {
    int (*get)(void);
    void (*set)(int);
};

struct weir_matmul {
    struct weir_kernel_context threads; /* only n_threads is used */
    struct openmp openmp;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct primitive *primitives; /* [n_primitives], in the order in which they were made */
    size_t n_primitives, capacity;
    size_t packed_bytes; /* room that is claimed until close for what running may take */
};

static weir_status check(dnnl_status_t status, const char *call)
{
    if (status == dnnl_success)
        return WEIR_OK;
    return WEIR_FAIL(status == dnnl_out_of_memory ? WEIR_ERR_NOMEM : WEIR_ERR_DEVICE, "onednn: %s gave status %d", call,
                     (int)status);
}

/* Which OpenMP runtime oneDNN brought along is found by name, so that Weir itself need not link one. */
static struct openmp openmp_find(void)
{
    struct openmp openmp = {NULL, NULL};
    void *found = dlsym(RTLD_DEFAULT, "omp_get_max_threads");
    memcpy(&openmp.get, &found, sizeof found);
    found = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    memcpy(&openmp.set, &found, sizeof found);
    return openmp;
}

/* oneDNN sizes its work by the calling thread's OpenMP setting.  Returns the setting before. */
static int openmp_set_threads(const struct openmp *openmp, int n_threads)
{
    if (!openmp->get || !openmp->set)
        return n_threads;
    int before = openmp->get();
    if (before != n_threads)
        openmp->set(n_threads);
    return before;
}

/* Attributes: scratchpad by the caller; C += through a sum over the destination. */
static weir_status attributes_make(bool accumulate, dnnl_primitive_attr_t *attr_out)
{
    dnnl_post_ops_t sum = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(attr_out);
    if (status != dnnl_success)
        return check(status, "primitive_attr_create");
    status = dnnl_primitive_attr_set_scratchpad_mode(*attr_out, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && accumulate)
        status = dnnl_post_ops_create(&sum);
    if (status == dnnl_success && accumulate)
        status = weir_dnnl_append_sum(sum);
    if (status == dnnl_success && accumulate)
        status = dnnl_primitive_attr_set_post_ops(*attr_out, sum);
    if (sum)
        dnnl_post_ops_destroy(sum);
    if (status != dnnl_success)
        dnnl_primitive_attr_destroy(*attr_out);
    return check(status, "primitive_attr");
}

/* ---- which of the library's kernels ------------------------------------------------------------------------------------- */

/* Instructions that the library may use: what ONEDNN_MAX_CPU_ISA leaves of the processor's. */
static bool has_isa(dnnl_cpu_isa_t isa)
{
#if defined(__x86_64__)
    return ((unsigned)dnnl_get_effective_cpu_isa() & (unsigned)isa) == (unsigned)isa;
#else
    (void)isa;
    return false;
#endif
}

static bool is_amd(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_is("amd");
#else
    return false;
#endif
}

/* oneDNN's first choice with AVX-512 are kernels that it calls brg.  On AMD's processors (Zen 4) its older ones, called gemm, are faster
 * for a large weight that is not transposed, for dW, and for a single row: docs/products.md has the measurements. */
static bool prefers_gemm(const struct weir_product *p)
{
    bool bf16 = p->factors == WEIR_DTYPE_BF16;
    if (p->packed || !is_amd() || !has_isa(dnnl_cpu_isa_avx512_core))
        return false;
    if (p->m == 1)
        return true;
    if (p->transpose_a)
        return bf16 ? p->k >= GEMM_BF16_TERMS && p->m * p->n >= GEMM_WEIGHT : p->k >= GEMM_TERMS;
    if (p->transpose_b)
        return false;
    return (p->n * p->k >= GEMM_WEIGHT && p->m >= (bf16 ? GEMM_BF16_ROWS : GEMM_ROWS)) || p->k > LARGE;
}

/* ---- rows that share the sets of a cache ------------------------------------------------------------------------------- */

static int64_t element_bytes(enum weir_dtype dtype)
{
    return dtype == WEIR_DTYPE_BF16 ? 2 : 4;
}

/* Elements from one row of B to the next, as the library gets it: B is copied, a cache line longer, where its rows are a
 * multiple of a page.  With 3,072 floats a row the product runs twice as fast then (performance-log.md), but on AMD's AVX-512. */
static int64_t b_stride(const struct weir_product *p)
{
    int64_t row = p->transpose_b ? p->k : p->n;
    bool shares = !p->transpose_b && !p->packed && p->m >= LEAST_ROWS && row * element_bytes(p->factors) % PAGE == 0 &&
                  !prefers_gemm(p);
    return row + (shares ? LINE / element_bytes(p->factors) : 0);
}

static size_t b_copy_bytes(const struct weir_product *p)
{
    int64_t stride = b_stride(p);
    return p->transpose_b || stride == p->n ? 0 : (size_t)(p->k * stride * element_bytes(p->factors) + LINE - 1) / LINE * LINE;
}

struct copying {
    const char *from;
    char *to;
    int64_t rows, row_bytes, stride_bytes; /* of `to` */
};

static void rows_copy(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct copying *c = argument;
    int64_t at = task * ROWS_PER_TASK, end = at + weir_task_size(c->rows, ROWS_PER_TASK, task);
    for (; at < end; at++)
        memcpy(c->to + at * c->stride_bytes, c->from + at * c->row_bytes, (size_t)c->row_bytes);
}

static void b_copy(const struct weir_matmul *matmul, const struct weir_product *p, const void *b, void *to)
{
    struct copying c = {b, to, p->k, p->n * element_bytes(p->factors), b_stride(p) * element_bytes(p->factors)};
    weir_parallel(&matmul->threads, weir_task_count(c.rows, ROWS_PER_TASK), rows_copy, &c);
}

/* ---- parts -------------------------------------------------------------------------------------------------------------- */

static struct piece whole_of(const struct weir_product *p)
{
    return (struct piece){*p, p->transpose_a ? p->m : p->k, p->n};
}

/* A product is done whole, in parts of its sums, or in parts of C's columns. */
struct cut {
    bool columns;
    int64_t extent, part;
};

/* oneDNN's blocks do not suit sums of floats as long as a vocabulary: dX of 50,257 columns runs at 1.18 times the rate in parts, which
 * are added up.  A bf16 result would be rounded with every part.  With AVX2 a transposed B runs at 1.04 to 1.2 times the rate in blocks of
 * columns (performance-log.md). */
static struct cut cut_of(const struct weir_product *p, int n_threads)
{
    bool floats = p->factors == WEIR_DTYPE_F32 && !p->packed;
    if (floats && !p->transpose_b && p->k > LARGE)
        return (struct cut){false, p->k, PART};
    if (floats && p->transpose_b && !p->transpose_a && p->m >= LEAST_ROWS && has_isa(dnnl_cpu_isa_avx2) &&
        !has_isa(dnnl_cpu_isa_avx512_core))
        return (struct cut){true, p->n, (int64_t)COLUMNS * n_threads};
    return (struct cut){false, p->k, p->k};
}

static struct piece piece_of(const struct weir_product *p, const struct cut *cut, int64_t at)
{
    struct piece piece = whole_of(p);
    int64_t size = cut->extent - at < cut->part ? cut->extent - at : cut->part;
    if (cut->columns) {
        piece.product.n = size;
        return piece;
    }
    piece.product.k = size;
    piece.product.accumulate = p->accumulate || at > 0;
    piece.product.bias = p->bias && at == 0;
    return piece;
}

/* The kinds of parts that there are; returns how many. */
static int kinds_of(const struct weir_product *p, int n_threads, struct piece kinds[KINDS])
{
    struct cut cut = cut_of(p, n_threads);
    int64_t last = (weir_task_count(cut.extent, cut.part) - 1) * cut.part, at[KINDS] = {0, cut.part, last};
    int n = last ? KINDS : 1;
    for (int i = 0; i < n; i++)
        kinds[i] = piece_of(p, &cut, at[i]);
    return n;
}

/* ---- primitives ------------------------------------------------------------------------------------------------------- */

static dnnl_data_type_t data_type(enum weir_dtype dtype)
{
    return dtype == WEIR_DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
}

/* The piece with B as `b` describes it. */
static weir_status described_with(const struct piece *piece, weir_dnnl_matrix b, dnnl_engine_t engine, dnnl_primitive_desc_t *pd_out)
{
    const struct weir_product *p = &piece->product;
    dnnl_primitive_attr_t attr;
    weir_status failed = attributes_make(p->accumulate, &attr);
    if (failed)
        return failed;
    weir_dnnl_matrix d[3]; /* a, c, bias */
    const struct {
        int64_t rows, columns, stride;
        bool transposed;
        enum weir_dtype dtype;
    } shapes[] = {{p->m, p->k, piece->a_stride, p->transpose_a, p->factors},
                  {p->m, p->n, piece->c_stride, false, p->result},
                  {1, p->n, p->n, false, p->factors}};
    int n = 0;
    dnnl_status_t status = dnnl_success;
    for (; status == dnnl_success && n < (p->bias ? 3 : 2); n++)
        status = weir_dnnl_matrix_make(&d[n], shapes[n].rows, shapes[n].columns, shapes[n].stride, shapes[n].transposed,
                                       data_type(shapes[n].dtype));
    if (status == dnnl_success)
        status = weir_dnnl_matmul_describe(pd_out, engine, d[0], b, p->bias ? &d[2] : NULL, d[1], attr,
                                           prefers_gemm(p) ? GEMM : NULL);
    else
        n--;
    while (n > 0)
        weir_dnnl_matrix_release(d[--n]);
    dnnl_primitive_attr_destroy(attr);
    return check(status, "matmul_primitive_desc_create");
}

/* B as callers have it. */
static weir_status plain_matrix(const struct weir_product *p, int64_t stride, weir_dnnl_matrix *b_out)
{
    return check(weir_dnnl_matrix_make(b_out, p->k, p->n, stride, p->transpose_b, data_type(p->factors)), "memory_desc");
}

/* B as the library likes it best for the product alone: so the form is the same with a bias or what is added up. */
static weir_status packed_matrix(const struct weir_product *p, dnnl_engine_t engine, weir_dnnl_matrix *b_out)
{
    struct piece alone = whole_of(p);
    weir_dnnl_matrix any;
    dnnl_primitive_desc_t pd;
    alone.product.accumulate = alone.product.bias = false;
    alone.product.packed = true;
    weir_status status = check(weir_dnnl_matrix_any(&any, p->k, p->n, data_type(p->factors)), "memory_desc");
    if (status)
        return status;
    status = described_with(&alone, any, engine, &pd);
    weir_dnnl_matrix_release(any);
    if (status)
        return status;
    status = check(weir_dnnl_weights_of(pd, b_out), "memory_desc");
    dnnl_primitive_desc_destroy(pd);
    return status;
}

static weir_status piece_describe(const struct piece *piece, dnnl_engine_t engine, dnnl_primitive_desc_t *pd_out)
{
    const struct weir_product *p = &piece->product;
    weir_dnnl_matrix b;
    weir_status status = p->packed ? packed_matrix(p, engine, &b) : plain_matrix(p, b_stride(p), &b);
    if (status)
        return status;
    status = described_with(piece, b, engine, pd_out);
    weir_dnnl_matrix_release(b);
    return status;
}

static void primitive_release(struct primitive *p)
{
    for (int i = 0; i < p->n_args; i++)
        dnnl_memory_destroy(p->args[i].memory);
    for (int i = 0; i < 2; i++)
        if (p->packing_args[i].memory)
            dnnl_memory_destroy(p->packing_args[i].memory);
    if (p->packing)
        dnnl_primitive_destroy(p->packing);
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
}

static weir_status args_make(struct primitive *p, const_dnnl_primitive_desc_t pd, dnnl_engine_t engine)
{
    static const struct {
        int arg;
        dnnl_query_t what;
        int index;
    } kinds[ARGS] = {{DNNL_ARG_SRC, dnnl_query_src_md, 0},
                     {DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0},
                     {DNNL_ARG_DST, dnnl_query_dst_md, 0},
                     {DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md, 0},
                     {DNNL_ARG_BIAS, dnnl_query_weights_md, 1}};
    for (int i = 0; i < ARGS - !p->piece.product.bias; i++, p->n_args++) {
        p->args[i].arg = kinds[i].arg;
        dnnl_status_t status = dnnl_memory_create(
            &p->args[i].memory, dnnl_primitive_desc_query_md(pd, kinds[i].what, kinds[i].index), engine, DNNL_MEMORY_NONE);
        if (status != dnnl_success)
            return check(status, "memory_create");
    }
    return WEIR_OK;
}

static weir_status packing_between(struct primitive *p, weir_dnnl_matrix from, weir_dnnl_matrix to, dnnl_engine_t engine)
{
    dnnl_primitive_desc_t pd;
    p->packing_args[0].arg = DNNL_ARG_FROM;
    p->packing_args[1].arg = DNNL_ARG_TO;
    weir_status status = check(weir_dnnl_matrix_memory(&p->packing_args[0].memory, from, engine), "memory_create");
    if (!status)
        status = check(weir_dnnl_matrix_memory(&p->packing_args[1].memory, to, engine), "memory_create");
    if (!status)
        status = check(weir_dnnl_reorder_describe(&pd, engine, from, to), "reorder_primitive_desc_create");
    if (status)
        return status;
    status = check(dnnl_primitive_create(&p->packing, pd), "primitive_create");
    dnnl_primitive_desc_destroy(pd);
    return status;
}

static weir_status packing_make(struct primitive *p, dnnl_engine_t engine)
{
    weir_dnnl_matrix from, to;
    const struct weir_product *product = &p->piece.product;
    weir_status status = plain_matrix(product, product->transpose_b ? product->k : product->n, &from);
    if (status)
        return status;
    status = packed_matrix(product, engine, &to);
    if (!status) {
        status = packing_between(p, from, to, engine);
        weir_dnnl_matrix_release(to);
    }
    weir_dnnl_matrix_release(from);
    return status;
}

static weir_status primitive_make(const struct piece *piece, dnnl_engine_t engine, struct primitive *p)
{
    dnnl_primitive_desc_t pd;
    *p = (struct primitive){.piece = *piece};
    weir_status status = piece_describe(piece, engine, &pd);
    if (status)
        return status;
    status = check(dnnl_primitive_create(&p->primitive, pd), "primitive_create");
    if (!status)
        status = args_make(p, pd, engine);
    dnnl_primitive_desc_destroy(pd);
    if (!status && piece->product.packed)
        status = packing_make(p, engine);
    if (status)
        primitive_release(p);
    return status;
}

/* What is asked of a description of a product, for a time in which no primitive is made of it. */
typedef size_t (*ask_fn)(const_dnnl_primitive_desc_t pd);

static size_t piece_ask(const struct piece *piece, int n_threads, ask_fn ask)
{
    dnnl_engine_t engine = NULL;
    dnnl_primitive_desc_t pd;
    size_t answer = 0;
    const struct openmp openmp = openmp_find();
    int before = openmp_set_threads(&openmp, n_threads);
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success) {
        if (piece_describe(piece, engine, &pd) == WEIR_OK) {
            answer = ask(pd);
            dnnl_primitive_desc_destroy(pd);
        }
        dnnl_engine_destroy(engine);
    }
    openmp_set_threads(&openmp, before);
    return answer;
}

static size_t scratch_of(const_dnnl_primitive_desc_t pd)
{
    return dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
}

size_t weir_matmul_scratch(const struct weir_product *product, int n_threads)
{
    struct piece kinds[KINDS];
    size_t most = 0;
    for (int i = kinds_of(product, n_threads, kinds) - 1; i >= 0; i--) {
        size_t bytes = b_copy_bytes(&kinds[i].product) + piece_ask(&kinds[i], n_threads, scratch_of);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* ---- packing ---------------------------------------------------------------------------------------------------------- */

static size_t weights_of(const_dnnl_primitive_desc_t pd)
{
    return dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
}

static bool is_packable(const struct weir_product *p)
{
    return p->m >= PACKED_ROWS && !p->transpose_a && p->m <= LARGE && p->n <= LARGE && p->k <= LARGE;
}

static bool is_dense(weir_dnnl_matrix form, struct weir_product p, bool transposed)
{
    weir_dnnl_matrix dense;
    p.transpose_b = transposed;
    if (plain_matrix(&p, transposed ? p.k : p.n, &dense))
        return true;
    bool same = weir_dnnl_matrices_equal(form, dense);
    weir_dnnl_matrix_release(dense);
    return same;
}

/* Has the library a form other than those that callers have? */
static bool has_form(const struct weir_product *product)
{
    dnnl_engine_t engine = NULL;
    weir_dnnl_matrix form;
    bool differs = false;
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
        return false;
    if (packed_matrix(product, engine, &form) == WEIR_OK) {
        differs = !is_dense(form, *product, false) && !is_dense(form, *product, true);
        weir_dnnl_matrix_release(form);
    }
    dnnl_engine_destroy(engine);
    return differs;
}

/* So that who sets scratch aside need not know whether B is packed. */
static bool takes_no_more_scratch(const struct weir_product *product, int n_threads)
{
    bool fits = true;
    for (int kind = 0; kind < 3 && fits; kind++) {
        struct weir_product plain = *product, packed;
        plain.accumulate = kind == 1;
        plain.bias = kind == 2;
        packed = plain;
        packed.packed = true;
        fits = weir_matmul_scratch(&packed, n_threads) <= weir_matmul_scratch(&plain, n_threads);
    }
    return fits;
}

size_t weir_matmul_packed_bytes(const struct weir_product *product, int n_threads)
{
    struct piece piece = whole_of(product);
    piece.product.packed = true;
    if (!is_packable(product) || !has_form(product) || !takes_no_more_scratch(product, n_threads))
        return 0;
    return (piece_ask(&piece, n_threads, weights_of) + LINE - 1) / LINE * LINE;
}

/* Implementations called gemm allocate what they copy blocks of both factors into in every thread and every call; malloc
 * keeps it for the next.  Blocks have bounds, so the figure does not grow with the product. */
static size_t packed_of(const_dnnl_primitive_desc_t pd)
{
    return weir_dnnl_is(pd, GEMM) ? PACKED_BYTES : 0;
}

size_t weir_matmul_library_bytes(void)
{
    const struct weir_product cube = {.m = 1024, .n = 1024, .k = 1024};
    const struct piece usual = whole_of(&cube);
    return piece_ask(&usual, 1, packed_of);
}

static weir_status packed_claim(struct weir_matmul *matmul, size_t bytes)
{
    weir_status status = weir_room_claim(bytes);
    if (status)
        return weir_error_prefix(status, "matrix products of %d threads: ", matmul->threads.n_threads);
    matmul->packed_bytes = bytes;
    return WEIR_OK;
}

/* Implementations called gemm write the code for all their products when they compute the first: that for vectors at the first
 * with a vector, that for matrices at the first without. */
static weir_status code_write(void)
{
    const float ones[] = {1, 1, 1, 1};
    float product[4];
    weir_status status = weir_room_enter(PRIMITIVE_BYTES);
    if (status)
        return weir_error_prefix(status, "preparing matrix products: ");
    for (int64_t n = 1; n <= 2 && !status; n++)
        status = check(dnnl_sgemm('N', 'N', n, n, n, 1, ones, n, ones, n, 0, product, n), "sgemm");
    weir_room_leave(PRIMITIVE_BYTES);
    return status;
}

weir_status weir_matmul_open(int n_threads, struct weir_matmul **matmul_out)
{
    struct weir_matmul *matmul;
    weir_status status = weir_alloc(1, sizeof *matmul, &matmul);
    if (status)
        return status;
    matmul->threads.n_threads = n_threads;
    matmul->openmp = openmp_find();
    openmp_set_threads(&matmul->openmp, n_threads);
    status = packed_claim(matmul, (size_t)n_threads * weir_matmul_library_bytes());
    if (!status)
        status = check(dnnl_engine_create(&matmul->engine, dnnl_cpu, 0), "engine_create");
    if (!status)
        status = check(dnnl_stream_create(&matmul->stream, matmul->engine, dnnl_stream_default_flags), "stream_create");
    if (!status && matmul->packed_bytes)
        status = code_write();
    if (status) {
        weir_matmul_close(matmul);
        return status;
    }
    *matmul_out = matmul;
    return WEIR_OK;
}

void weir_matmul_close(struct weir_matmul *matmul)
{
    if (!matmul)
        return;
    for (size_t i = 0; i < matmul->n_primitives; i++)
        primitive_release(&matmul->primitives[i]);
    weir_room_release(matmul->packed_bytes);
    if (matmul->stream)
        dnnl_stream_destroy(matmul->stream);
    if (matmul->engine)
        dnnl_engine_destroy(matmul->engine);
    weir_free(matmul->primitives);
    weir_free(matmul);
}

static bool pieces_equal(const struct piece *x, const struct piece *y)
{
    const struct weir_product *a = &x->product, *b = &y->product;
    return a->m == b->m && a->n == b->n && a->k == b->k && a->transpose_a == b->transpose_a &&
           a->transpose_b == b->transpose_b && a->accumulate == b->accumulate && a->bias == b->bias &&
           a->packed == b->packed && a->factors == b->factors && a->result == b->result && x->a_stride == y->a_stride && x->c_stride == y->c_stride;
}

/* oneDNN does not look at what its code generator gets from the system: it ends in SIGSEGV, or in an exception that nobody
 * catches. */
static weir_status primitive_make_within(const struct piece *piece, const struct weir_matmul *matmul, struct primitive *p)
{
    weir_status status = weir_room_enter(PRIMITIVE_BYTES);
    if (status)
        return weir_error_prefix(status, "preparing matrix products: ");
    status = primitive_make(piece, matmul->engine, p);
    weir_room_leave(PRIMITIVE_BYTES);
    return status;
}

static weir_status primitive_find(struct weir_matmul *matmul, const struct piece *piece, struct primitive **primitive_out)
{
    for (size_t i = 0; i < matmul->n_primitives; i++)
        if (pieces_equal(&matmul->primitives[i].piece, piece)) {
            *primitive_out = &matmul->primitives[i];
            return WEIR_OK;
        }
    weir_status status = weir_grow(&matmul->primitives, &matmul->capacity, matmul->n_primitives + 1,
                                   sizeof *matmul->primitives);
    if (!status)
        status = primitive_make_within(piece, matmul, &matmul->primitives[matmul->n_primitives]);
    if (!status)
        *primitive_out = &matmul->primitives[matmul->n_primitives++];
    return status;
}

weir_status weir_matmul_prepare(struct weir_matmul *matmul, const struct weir_product *product)
{
    struct primitive *primitive;
    struct piece kinds[KINDS];
    weir_status status = WEIR_OK;
    openmp_set_threads(&matmul->openmp, matmul->threads.n_threads);
    for (int i = kinds_of(product, matmul->threads.n_threads, kinds) - 1; i >= 0 && !status; i--)
        status = primitive_find(matmul, &kinds[i], &primitive);
    return status;
}

/* oneDNN's kernels for AMX take no rows that lie apart: it leaves those products to its older ones, without AMX. */
bool weir_matmul_bf16_is_dense(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core_amx);
}

/* AMX does eight times as many bf16 products a cycle as float ones, AVX-512 BF16 on AMD's processors twice as many.
 * Measured on an Intel one without AMX: 85 GFLOP/s against 140 of floats, so there floats are taken.  ONEDNN_MAX_CPU_ISA
 * counts. */
bool weir_matmul_has_bf16(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core_amx) || (has_isa(dnnl_cpu_isa_avx512_core_bf16) && is_amd());
}

/* oneDNN takes all its arguments as writable. */
static void *writable(const void *x)
{
    void *pointer;
    memcpy(&pointer, &x, sizeof pointer);
    return pointer;
}

static weir_status piece_run(struct weir_matmul *matmul, const struct piece *piece, const void *a, const void *b,
                             const void *bias, void *c, void *scratch)
{
    struct primitive *p;
    size_t copied = b_copy_bytes(&piece->product);
    weir_status status = primitive_find(matmul, piece, &p);
    if (status)
        return status;
    if (copied) {
        b_copy(matmul, &piece->product, b, scratch);
        b = scratch;
    }
    void *const handles[ARGS] = {writable(a), writable(b), c, (char *)scratch + copied, writable(bias)};
    for (int i = 0; i < p->n_args; i++)
        if ((status = check(dnnl_memory_set_data_handle(p->args[i].memory, handles[i]), "memory_set_data_handle")))
            return status;
    return check(dnnl_primitive_execute(p->primitive, matmul->stream, p->n_args, p->args), "primitive_execute");
}

weir_status weir_matmul_pack(struct weir_matmul *matmul, const struct weir_product *product, const void *b, void *packed)
{
    struct primitive *p;
    const struct piece piece = whole_of(product);
    void *const handles[] = {writable(b), packed};
    openmp_set_threads(&matmul->openmp, matmul->threads.n_threads);
    weir_status status = primitive_find(matmul, &piece, &p);
    for (int i = 0; i < 2 && !status; i++)
        status = check(dnnl_memory_set_data_handle(p->packing_args[i].memory, handles[i]), "memory_set_data_handle");
    return status ? status : check(dnnl_primitive_execute(p->packing, matmul->stream, 2, p->packing_args), "primitive_execute");
}

weir_status weir_matmul_run(struct weir_matmul *matmul, const struct weir_product *product, const void *a, const void *b,
                            const void *bias, void *c, void *scratch)
{
    const struct cut cut = cut_of(product, matmul->threads.n_threads);
    const int64_t of_factor = element_bytes(product->factors), of_result = element_bytes(product->result);
    const int64_t a_step = cut.columns ? 0 : of_factor * (product->transpose_a ? product->m : 1);
    const int64_t b_step = of_factor * (cut.columns ? product->k : product->n), c_step = cut.columns ? of_result : 0;
    weir_status status = WEIR_OK;
    openmp_set_threads(&matmul->openmp, matmul->threads.n_threads);
    for (int64_t at = 0; at < cut.extent && !status; at += cut.part) {
        struct piece piece = piece_of(product, &cut, at);
        const void *terms = piece.product.bias ? (const char *)bias + (cut.columns ? at * of_factor : 0) : NULL;
        status = piece_run(matmul, &piece, (const char *)a + at * a_step, (const char *)b + at * b_step, terms,
                           (char *)c + at * c_step, scratch);
    }
    return status;
}

#endif
