/* Fuzz target: any text is a plan or refused; a plan that is read can be written, and reads back the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/program/plan_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void same_or_abort(const struct weir_plan_file *a, const struct weir_plan_file *b)
{
    size_t n = ((size_t)a->cut.n_stages + 1) * sizeof(int);
    if (a->cut.n_stages != b->cut.n_stages || memcmp(a->cut.first_layer, b->cut.first_layer, n) != 0 ||
        a->n_microbatches != b->n_microbatches || strcmp(a->schedule, b->schedule) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct weir_arena arena = {0};
    struct weir_text text = {0};
    struct weir_plan_file plan, again;
    if (!weir_plan_file_parse((const char *)bytes, n, "input", &arena, &plan)) {
        if (weir_plan_file_write(&plan, NULL, &text) || weir_plan_file_parse(text.data, text.length, "again", &arena, &again))
            abort();
        same_or_abort(&plan, &again);
    }
    weir_text_release(&text);
    weir_arena_release(&arena);
    return 0;
}
