#include "cmd/compute_dtype.h"

#include <string.h>

#include "base/text.h"
#include "cmd/synonyms.h"

const char *const compute_dtypes[] = {"f32", "tf32", "bf16", NULL};

weir_status compute_dtype_read(const char *word, bool on_cpu, enum weir_compute *dtype_out)
{
    const char *name = name_understood(word, compute_dtypes, dtype_synonyms);
    int found = 0;
    while (compute_dtypes[found] && strcmp(compute_dtypes[found], name) != 0)
        found++;
    if (!strcmp(name, "f16"))
        return WEIR_FAIL(WEIR_ERR_USAGE, "weir does not compute in '%s': use --dtype bf16", word);
    if (!compute_dtypes[found])
        return weir_unknown("dtype", word, compute_dtypes);
    if (found == WEIR_COMPUTE_TF32 && on_cpu)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--dtype %s is for --device cuda: leave it out", name);
    *dtype_out = (enum weir_compute)found;
    return WEIR_OK;
}
