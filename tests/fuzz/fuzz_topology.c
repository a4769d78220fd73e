/* Fuzz target: any text is a topology in one of its three forms, or refused; what is read can be printed and drawn, and has a way
 * between any two devices that is as fast there as back. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "partitioner/topology/topology_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { MOST_PAIRED = 24 };

static void sound_or_abort(const struct weir_topology *t)
{
    struct weir_text text = {0};
    int most = t->n_devices < MOST_PAIRED ? t->n_devices : MOST_PAIRED;
    for (int a = 0; a < most; a++)
        for (int b = 0; b < a; b++)
            if (weir_topology_path(t, a, b).bandwidth != weir_topology_path(t, b, a).bandwidth)
                abort();
    for (int i = 1; i < t->n_parts; i++)
        if (t->parts[i].above < 0 || t->parts[i].above >= i)
            abort();
    weir_topology_print(t, &text);
    weir_topology_svg(t, &text);
    weir_text_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct weir_arena arena = {0};
    struct weir_topology topology;
    char *text = malloc(n + 1);
    if (!text)
        abort();
    memcpy(text, bytes, n);
    text[n] = 0;
    if (!weir_topology_text_parse(text, "text", &arena, &topology) && topology.n_devices < 2000)
        sound_or_abort(&topology);
    if (!weir_topology_nccl_parse(text, "nccl", &arena, &topology))
        sound_or_abort(&topology);
    if (!weir_topology_hwloc_parse(text, "hwloc", &arena, &topology))
        sound_or_abort(&topology);
    weir_arena_release(&arena);
    free(text);
    return 0;
}
