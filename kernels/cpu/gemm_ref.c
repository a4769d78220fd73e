/* The plain C matrix product: packs blocks of A and B into panels, then runs the tile of tile.h over them.
 *
 *     scratch   [ B panel: BLOCK_K x BLOCK_N, as strips of 32 columns ][ A panel: 4 x BLOCK_K ][ one tile ]
 *
 * For every element the blocks of k are added in ascending order, so a result depends on n, m and k only through the
 * sequence of its own k products: rows and columns do not influence each other. */
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/tile.h"

enum { BLOCK_K = 256, BLOCK_N = 256 };
enum { TILE_FLOATS = WEIR_TILE_ROWS * WEIR_TILE_COLUMNS };

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

size_t weir_gemm_ref_scratch(const struct weir_product *product)
{
    int64_t k = smaller(product->k, BLOCK_K), n = smaller(weir_round_up(product->n, WEIR_TILE_COLUMNS), BLOCK_N);
    return (size_t)weir_round_up(k * n + WEIR_TILE_ROWS * k + TILE_FLOATS, 16) * sizeof(float);
}

/* op(B)[k0 .. k0+k)[n0 .. n0+n) as strips of 32 columns, each (k, 32), the last padded with zeros. */
WEIR_KERNEL static void b_pack(const struct weir_product *product, const float *b, int64_t k0, int64_t k, int64_t n0,
                               int64_t n, float *panel)
{
    int64_t row = product->transpose_b ? 1 : product->n, column = product->transpose_b ? product->k : 1;
    for (int64_t j0 = 0; j0 < n; j0 += WEIR_TILE_COLUMNS) {
        int64_t width = smaller(n - j0, WEIR_TILE_COLUMNS);
        for (int64_t p = 0; p < k; p++, panel += WEIR_TILE_COLUMNS) {
            const float *from = b + (k0 + p) * row + (n0 + j0) * column;
            for (int64_t j = 0; j < width; j++)
                panel[j] = from[j * column];
            for (int64_t j = width; j < WEIR_TILE_COLUMNS; j++)
                panel[j] = 0;
        }
    }
}

/* op(A)[m0 .. m0+4)[k0 .. k0+k) as (k, 4), rows past m as zeros. */
static void a_pack(const struct weir_product *product, const float *a, int64_t m0, int64_t k0, int64_t k, float *panel)
{
    int64_t row = product->transpose_a ? 1 : product->k, column = product->transpose_a ? product->m : 1;
    for (int64_t i = 0; i < WEIR_TILE_ROWS; i++) {
        const float *from = a + (m0 + i) * row + k0 * column;
        for (int64_t p = 0; p < k; p++)
            panel[p * WEIR_TILE_ROWS + i] = m0 + i < product->m ? from[p * column] : 0.0f;
    }
}

/* C[m0 ..)[n0 ..) += tile, or = bias + tile for the first block of k. */
static void tile_store(const struct weir_product *product, const float *tile, int64_t m0, int64_t n0, bool add,
                       const float *bias, float *c)
{
    int64_t rows = smaller(product->m - m0, WEIR_TILE_ROWS), width = smaller(product->n - n0, WEIR_TILE_COLUMNS);
    for (int64_t i = 0; i < rows; i++, tile += WEIR_TILE_COLUMNS) {
        float *to = c + (m0 + i) * product->n + n0;
        for (int64_t j = 0; j < width; j++)
            to[j] = add ? to[j] + tile[j] : bias ? bias[n0 + j] + tile[j] : tile[j];
    }
}

WEIR_WIDE WEIR_UNCHECKED static void tile_wide(int64_t k, const float *a_panel, const float *b_panel, float *tile)
{
    weir_tile_wide(k, a_panel, 1, WEIR_TILE_ROWS, b_panel, WEIR_TILE_COLUMNS, false, tile, WEIR_TILE_COLUMNS);
}

WEIR_KERNEL WEIR_UNCHECKED static void tile_narrow(int64_t k, const float *a_panel, const float *b_panel, float *tile)
{
    weir_tile_narrow(k, a_panel, 1, WEIR_TILE_ROWS, b_panel, WEIR_TILE_COLUMNS, false, tile, WEIR_TILE_COLUMNS);
}

/* One panel of A against n columns of B, strip by strip. */
static void strips_multiply(const struct weir_product *product, const float *a_panel, const float *b_panel, int64_t m0,
                            int64_t k, int64_t n0, int64_t n, bool add, const float *bias, float *tile, float *c)
{
    weir_rows_check(1, 0, k * WEIR_TILE_ROWS, a_panel);
    weir_rows_check(1, 0, k * weir_round_up(n, WEIR_TILE_COLUMNS), b_panel);
    weir_rows_check(1, 0, TILE_FLOATS, tile);
    for (int64_t j = 0; j < n; j += WEIR_TILE_COLUMNS) {
        if (WEIR_HAS_WIDE())
            tile_wide(k, a_panel, b_panel + j * k, tile);
        else
            tile_narrow(k, a_panel, b_panel + j * k, tile);
        tile_store(product, tile, m0, n0 + j, add, bias, c);
    }
}

void weir_gemm_ref(const struct weir_product *product, int64_t first_column, int64_t n_columns, const float *a,
                   const float *b, const float *bias, float *c, void *scratch)
{
    const struct weir_product *q = product;
    int64_t end = smaller(q->n, first_column + n_columns);
    int64_t depth = smaller(q->k, BLOCK_K), breadth = smaller(weir_round_up(q->n, WEIR_TILE_COLUMNS), BLOCK_N);
    float *tile = scratch, *a_panel = tile + TILE_FLOATS, *b_panel = a_panel + WEIR_TILE_ROWS * depth;
    for (int64_t n0 = first_column; n0 < end; n0 += breadth) {
        int64_t n = smaller(end - n0, breadth);
        for (int64_t k0 = 0; k0 < q->k; k0 += depth) {
            int64_t k = smaller(q->k - k0, depth);
            b_pack(q, b, k0, k, n0, n, b_panel);
            for (int64_t m0 = 0; m0 < q->m; m0 += WEIR_TILE_ROWS) {
                a_pack(q, a, m0, k0, k, a_panel);
                strips_multiply(q, a_panel, b_panel, m0, k, n0, n, k0 > 0 || q->accumulate, bias, tile, c);
            }
        }
    }
}
