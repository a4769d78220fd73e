/* loaded_blas.h by dlopen.  A library may put the same words before and behind all of its names. */
#include "bench/loaded_blas.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 }; /* as cblas.h numbers them */

struct naming {
    const char *before, *behind;
    bool wide; /* integers of 64 bits */
};

static const struct naming namings[] = {{"", "", false}, {"", "64_", true}, {"scipy_", "64_", true}, {"scipy_", "", false}};

struct library {
    void *handle;
    const struct naming *naming;
};

/* Store the function `name` in the pointer at `fn_out`; false and NULL where there is none. */
static bool find(const struct library *library, const char *name, void *fn_out)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s%s", library->naming->before, name, library->naming->behind);
    void *found = dlsym(library->handle, full);
    memcpy(fn_out, &found, sizeof found);
    return found != NULL;
}

static void openblas_read(const struct library *library, struct loaded_blas *blas)
{
    char *(*config)(void), *(*core)(void);
    void (*threads)(int);
    if (find(library, "openblas_set_num_threads", &threads))
        threads(1);
    if (!find(library, "openblas_get_config", &config))
        return;
    blas->kind = "openblas";
    bool known = find(library, "openblas_get_corename", &core);
    snprintf(blas->about, sizeof blas->about, "%s%s%s", config(), known ? ", core " : "", known ? core() : "");
}

static void blis_read(const struct library *library, struct loaded_blas *blas)
{
    const char *(*version)(void), *(*word)(int);
    int (*core)(void);
    void (*threads)(int64_t);
    if (find(library, "bli_thread_set_num_threads", &threads))
        threads(1);
    if (!find(library, "bli_info_get_version_str", &version))
        return;
    blas->kind = "blis";
    bool known = find(library, "bli_arch_string", &word) && find(library, "bli_arch_query_id", &core);
    snprintf(blas->about, sizeof blas->about, "BLIS %s%s%s", version(), known ? ", core " : "", known ? word(core()) : "");
}

weir_status loaded_blas_open(const char *path, struct loaded_blas *blas_out)
{
    struct library library = {dlopen(path, RTLD_NOW | RTLD_LOCAL), NULL};
    if (!library.handle)
        return WEIR_FAIL(WEIR_ERR_USAGE, "cannot load a BLAS: %s", dlerror());
    struct loaded_blas blas = {.kind = "blas"};
    for (size_t i = 0; i < sizeof namings / sizeof *namings && !blas.sgemm && !blas.sgemm64; i++) {
        library.naming = &namings[i];
        find(&library, "cblas_sgemm", namings[i].wide ? (void *)&blas.sgemm64 : (void *)&blas.sgemm);
    }
    if (!blas.sgemm && !blas.sgemm64)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has no cblas_sgemm: name the shared library of a BLAS that has C functions", path);
    openblas_read(&library, &blas);
    blis_read(&library, &blas);
    *blas_out = blas;
    return WEIR_OK;
}

void loaded_blas_product(const struct loaded_blas *blas, const struct weir_product *product, const float *a, const float *b,
                         const float *bias, float *c)
{
    int64_t m = product->m, n = product->n, k = product->k;
    int64_t lda = product->transpose_a ? m : k, ldb = product->transpose_b ? k : n;
    int ta = product->transpose_a ? TRANSPOSED : PLAIN, tb = product->transpose_b ? TRANSPOSED : PLAIN;
    float beta = product->accumulate || product->bias ? 1 : 0;
    for (int64_t row = 0; row < m && product->bias; row++)
        memcpy(c + row * n, bias, (size_t)n * sizeof *c);
    if (blas->sgemm64)
        blas->sgemm64(ROW_MAJOR, ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, n);
    else
        blas->sgemm(ROW_MAJOR, ta, tb, (int)m, (int)n, (int)k, 1, a, (int)lda, b, (int)ldb, beta, c, (int)n);
}
