/* product.h.  A product that is widened is cut along the side whose blocks keep the scratch small:
 *
 *     COLUMNS   n > k: blocks of B's columns; A is widened whole, a block of C rounded as it is done
 *     DEPTH     n <= k: blocks of k; C is summed as floats and rounded at the end
 *     ROWS      A^T B into floats: blocks of C's rows, that is of A's columns; B is widened whole
 *
 * scratch   [ A or its block ][ B or its block ][ C or its block ][ bias ][ of the library ]
 *
 * A product that the library takes as it is, is cut too, where one side is as long as a vocabulary and the library wants dense rows:
 *
 *     COLUMNS   A B^T: blocks of C's columns, which are computed dense and copied to their place
 *     ROWS      A^T B: blocks of C's rows, for which A's columns are copied; C is written in place
 *
 * Sizes are measured (docs/performance-log.md).  scratch   [ block of A or C ][ of the library ] */
#include "kernels/cpu/product.h"

#include <string.h>

#include "kernels/cpu/storage.h"

enum { BLOCK_FLOATS = 1 << 18, LEAST = 64, ALIGNED = 16, ROWS_PER_TASK = 16 };
enum { LONG_SIDE = 12288, NATIVE_COLUMNS = 3072, NATIVE_ROWS = 6144 };

enum way { COLUMNS, DEPTH, ROWS };

struct cut {
    enum way way;
    int64_t extent, block; /* of the side that is cut */
};

static struct cut cut_of(const struct weir_product *p)
{
    enum way way = p->transpose_a ? ROWS : p->n > p->k ? COLUMNS : DEPTH;
    int64_t extents[] = {p->n, p->k, p->m}, others[] = {p->k, p->n, p->k};
    int64_t block = BLOCK_FLOATS / others[way] / LEAST * LEAST;
    block = block < LEAST ? LEAST : block;
    return (struct cut){way, extents[way], block < extents[way] ? block : extents[way]};
}

/* The product of floats that computes block at..at+size-1. */
static struct weir_product part_of(const struct weir_product *p, enum way way, int64_t at, int64_t size)
{
    struct weir_product part = {.m = p->m, .n = p->n, .k = p->k, .transpose_a = p->transpose_a,
                                .transpose_b = p->transpose_b, .accumulate = p->accumulate, .bias = p->bias};
    if (way == COLUMNS)
        part.n = size;
    if (way == DEPTH) {
        part.k = size;
        part.accumulate = at > 0;
        part.bias = p->bias && at == 0;
    }
    if (way == ROWS)
        part.m = size;
    return part;
}

/* The kinds of blocks there are: the first, a later one, the last. */
static int parts_of(const struct weir_product *p, const struct cut *cut, struct weir_product parts[3])
{
    int64_t n = weir_task_count(cut->extent, cut->block), at[] = {0, cut->block, (n - 1) * cut->block};
    for (int i = 0; i < 3; i++)
        parts[i] = part_of(p, cut->way, at[i], at[i] + cut->block < cut->extent ? cut->block : cut->extent - at[i]);
    if (n > 2)
        return 3;
    parts[1] = parts[2];
    return (int)n;
}

struct rooms {
    size_t a, b, c, bias; /* floats */
};

static size_t round_up(int64_t floats)
{
    return (size_t)weir_task_count(floats, ALIGNED) * ALIGNED;
}

static struct rooms rooms_of(const struct weir_product *p, const struct cut *cut)
{
    struct rooms rooms = {0};
    rooms.a = round_up(cut->way == COLUMNS ? p->m * p->k : cut->way == DEPTH ? p->m * cut->block : p->k * cut->block);
    rooms.b = round_up(cut->way == COLUMNS ? p->k * cut->block : cut->way == DEPTH ? cut->block * p->n : p->k * p->n);
    rooms.c = round_up(cut->way == COLUMNS ? p->m * cut->block : cut->way == DEPTH ? p->m * p->n : 0);
    rooms.bias = p->bias ? round_up(p->n) : 0;
    return rooms;
}

/* ---- as the library takes it ------------------------------------------------------------------------------------------- */

/* What is added lies in C. */
static struct weir_product native_of(const struct weir_product *p, bool addend)
{
    struct weir_product native = *p;
    native.accumulate = p->accumulate || addend;
    return native;
}

/* extent 0: it is not cut. */
static struct cut native_cut_of(const struct weir_product *p)
{
    if (!weir_matmul_bf16_is_dense())
        return (struct cut){COLUMNS, 0, 0};
    if (p->transpose_a && p->m > LONG_SIDE)
        return (struct cut){ROWS, p->m, NATIVE_ROWS};
    if (!p->transpose_a && p->transpose_b && !p->accumulate && p->n > LONG_SIDE)
        return (struct cut){COLUMNS, p->n, NATIVE_COLUMNS};
    return (struct cut){COLUMNS, 0, 0};
}

/* The kinds of blocks there are: one, or most of them and the last. */
static int native_parts_of(const struct weir_product *p, const struct cut *cut, struct weir_product parts[2])
{
    int64_t last = cut->extent ? cut->extent % cut->block : 0;
    parts[0] = parts[1] = *p;
    for (int i = 0; i < 2 && cut->extent; i++)
        *(cut->way == ROWS ? &parts[i].m : &parts[i].n) = i ? last : cut->block;
    return last ? 2 : 1;
}

static size_t native_room(const struct weir_product *p, const struct cut *cut)
{
    return cut->extent ? round_up(((cut->way == ROWS ? p->k : p->m) * cut->block + 1) / 2) * sizeof(float) : 0; /* two to a float */
}

/* rows (n, columns) of bf16 numbers, from one stride to another */
struct moving {
    const void *from;
    void *to;
    int64_t rows, columns, from_stride, to_stride;
};

static void move_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct moving *m = argument;
    int64_t end = task * ROWS_PER_TASK + weir_task_size(m->rows, ROWS_PER_TASK, task);
    for (int64_t r = task * ROWS_PER_TASK; r < end; r++)
        memcpy(weir_element_out(true, m->to, r * m->to_stride), weir_element(true, m->from, r * m->from_stride),
               (size_t)m->columns * sizeof(uint16_t));
}

static void move(const struct weir_kernel_context *context, struct moving m)
{
    weir_parallel(context, weir_task_count(m.rows, ROWS_PER_TASK), move_task, &m);
}

struct native {
    const struct weir_kernel_context *context;
    const struct weir_product *p;
    const void *a, *b, *bias;
    void *c, *room, *library;
};

static weir_status native_block(const struct native *r, enum way way, const struct weir_product *part, int64_t at)
{
    const struct weir_product *p = r->p;
    struct weir_matmul *matmul = r->context->matmul;
    if (way == ROWS) {
        move(r->context, (struct moving){weir_element(true, r->a, at), r->room, p->k, part->m, p->m, part->m});
        return weir_matmul_run(matmul, part, r->room, r->b, NULL, (float *)r->c + at * p->n, r->library);
    }
    const void *bias = r->bias ? weir_element(true, r->bias, at) : NULL;
    weir_status status = weir_matmul_run(matmul, part, r->a, weir_element(true, r->b, at * p->k), bias, r->room, r->library);
    if (!status)
        move(r->context, (struct moving){r->room, weir_element_out(true, r->c, at), p->m, part->n, part->n, p->n});
    return status;
}

static weir_status native_run(const struct native *r)
{
    struct weir_product parts[2];
    struct cut cut = native_cut_of(r->p);
    weir_status status = WEIR_OK;
    int n = native_parts_of(r->p, &cut, parts);
    if (!cut.extent)
        return weir_matmul_run(r->context->matmul, r->p, r->a, r->b, r->bias, r->c, r->library);
    for (int64_t at = 0; at < cut.extent && !status; at += cut.block)
        status = native_block(r, cut.way, &parts[n == 2 && at + cut.block > cut.extent], at);
    return status;
}

size_t weir_product_scratch(const struct weir_product *product, int n_threads)
{
    struct weir_product parts[3];
    struct cut cut = cut_of(product);
    size_t library = 0, room = 0;
    bool native = weir_matmul_has_bf16();
    for (int addend = 0; addend <= (native && !product->bias && !product->transpose_a); addend++) {
        struct weir_product taken = native_of(product, addend);
        struct cut native_cut = native_cut_of(&taken);
        for (int i = native ? native_parts_of(&taken, &native_cut, parts) : parts_of(product, &cut, parts); i > 0; i--) {
            size_t bytes = weir_matmul_scratch(&parts[i - 1], n_threads);
            library = bytes > library ? bytes : library;
        }
        size_t bytes = native ? native_room(&taken, &native_cut) : 0;
        room = bytes > room ? bytes : room;
    }
    struct rooms r = native ? (struct rooms){0} : rooms_of(product, &cut);
    return (r.a + r.b + r.c + r.bias) * sizeof(float) + room + library;
}

size_t weir_product_packed_bytes(const struct weir_product *product, int n_threads)
{
    if (!weir_matmul_has_bf16() || native_cut_of(product).extent)
        return 0;
    return weir_matmul_packed_bytes(product, n_threads);
}

weir_status weir_product_prepare(const struct weir_kernel_context *context, const struct weir_product *product, bool addend)
{
    struct weir_product parts[3], taken = native_of(product, addend);
    struct cut cut = cut_of(product), native_cut = native_cut_of(&taken);
    int n = weir_matmul_has_bf16() ? native_parts_of(&taken, &native_cut, parts) : parts_of(product, &cut, parts);
    weir_status status = WEIR_OK;
    for (int i = 0; i < n && !status; i++)
        status = weir_matmul_prepare(context->matmul, &parts[i]);
    return status;
}

/* ---- widened ----------------------------------------------------------------------------------------------------------- */

/* to (rows, columns), dense = rows of bf16 numbers that are `stride` apart */
struct widening {
    const void *from;
    int64_t rows, columns, stride;
    float *to;
};

static void widen_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct widening *w = argument;
    int64_t end = task * ROWS_PER_TASK + weir_task_size(w->rows, ROWS_PER_TASK, task);
    for (int64_t r = task * ROWS_PER_TASK; r < end; r++)
        weir_widen(w->columns, weir_element(true, w->from, r * w->stride), w->to + r * w->columns);
}

static void widen(const struct weir_kernel_context *context, struct widening w)
{
    weir_parallel(context, weir_task_count(w.rows, ROWS_PER_TASK), widen_task, &w);
}

/* Columns at..at+columns-1 of C (rows, stride) = the floats (rows, columns) + addend, rounded. */
struct rounding {
    const float *from;
    int64_t rows, columns, stride, at;
    const void *addend;
    void *c;
};

static void add(int64_t n, const float *terms, float *sums)
{
    for (int64_t i = 0; i < n; i++)
        sums[i] += terms[i];
}

static void round_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct rounding *r = argument;
    float room[WEIR_ROOM];
    int64_t end = task * ROWS_PER_TASK + weir_task_size(r->rows, ROWS_PER_TASK, task);
    for (int64_t row = task * ROWS_PER_TASK; row < end; row++)
        for (int64_t n, i = 0; i < r->columns; i += n) {
            int64_t at = row * r->stride + r->at + i;
            const float *from = r->from + row * r->columns + i;
            n = weir_part(true, r->columns - i);
            if (r->addend) {
                weir_widen(n, weir_element(true, r->addend, at), room);
                add(n, from, room);
            }
            weir_round(n, r->addend ? room : from, weir_element_out(true, r->c, at));
        }
}

static void round_off(const struct weir_kernel_context *context, struct rounding r)
{
    weir_parallel(context, weir_task_count(r.rows, ROWS_PER_TASK), round_task, &r);
}

/* One call, with where its rooms begin. */
struct run {
    const struct weir_kernel_context *context;
    const struct weir_product *p;
    struct cut cut;
    const void *a, *b, *addend;
    float *a_room, *b_room, *c_room, *bias, *library;
    void *c;
};

/* Columns at..at+size-1 of op(B), or rows of it with `rows`, in the layout of B. */
static void b_widen(const struct run *r, bool rows, int64_t at, int64_t size)
{
    const struct weir_product *p = r->p;
    if (rows == p->transpose_b) /* they are columns of the matrix in memory */
        widen(r->context, (struct widening){weir_element(true, r->b, at), rows ? p->n : p->k, size, rows ? p->k : p->n, r->b_room});
    else
        widen(r->context, (struct widening){weir_element(true, r->b, at * (rows ? p->n : p->k)), size, rows ? p->n : p->k,
                                            rows ? p->n : p->k, r->b_room});
}

static weir_status block_run(const struct run *r, int64_t at, int64_t size)
{
    const struct weir_product *p = r->p;
    struct weir_product part = part_of(p, r->cut.way, at, size);
    float *c = r->cut.way == ROWS ? (float *)r->c + at * p->n : r->c_room;
    const float *bias = part.bias ? r->bias + (r->cut.way == COLUMNS ? at : 0) : NULL;
    if (r->cut.way != COLUMNS) /* columns of A */
        widen(r->context, (struct widening){weir_element(true, r->a, at), r->cut.way == ROWS ? p->k : p->m, size,
                                            r->cut.way == ROWS ? p->m : p->k, r->a_room});
    if (r->cut.way != ROWS)
        b_widen(r, r->cut.way == DEPTH, at, size);
    weir_status status = weir_matmul_run(r->context->matmul, &part, r->a_room, r->b_room, bias, c, r->library);
    if (!status && r->cut.way == COLUMNS)
        round_off(r->context, (struct rounding){r->c_room, p->m, size, p->n, at, r->addend, r->c});
    return status;
}

static weir_status widened_run(struct run *r, const void *bias, float *scratch)
{
    const struct weir_product *p = r->p;
    struct rooms rooms = rooms_of(p, &r->cut);
    r->a_room = scratch;
    r->b_room = r->a_room + rooms.a;
    r->c_room = r->b_room + rooms.b;
    r->bias = r->c_room + rooms.c;
    r->library = r->bias + rooms.bias;
    if (p->bias)
        weir_widen(p->n, bias, r->bias);
    if (r->cut.way == COLUMNS)
        widen(r->context, (struct widening){r->a, p->m, p->k, p->k, r->a_room});
    if (r->cut.way == ROWS)
        widen(r->context, (struct widening){r->b, p->k, p->n, p->n, r->b_room});
    weir_status status = WEIR_OK;
    for (int64_t at = 0; at < r->cut.extent && !status; at += r->cut.block)
        status = block_run(r, at, r->cut.block < r->cut.extent - at ? r->cut.block : r->cut.extent - at);
    if (!status && r->cut.way == DEPTH)
        round_off(r->context, (struct rounding){r->c_room, p->m, p->n, p->n, 0, r->addend, r->c});
    return status;
}

weir_status weir_product_run(const struct weir_kernel_context *context, const struct weir_product *product, const void *a,
                             const void *b, const void *bias, const void *addend, void *c, void *scratch)
{
    struct run r = {.context = context, .p = product, .cut = cut_of(product), .a = a, .b = b, .addend = addend, .c = c};
    if (!weir_matmul_has_bf16())
        return widened_run(&r, bias, scratch);
    struct weir_product native = native_of(product, addend != NULL);
    struct cut native_cut = native_cut_of(&native);
    char *library = (char *)scratch + native_room(&native, &native_cut);
    if (addend && addend != c)
        memcpy(c, addend, (size_t)(product->m * product->n) * sizeof(uint16_t));
    return native_run(&(struct native){context, &native, a, b, bias, c, scratch, library});
}
