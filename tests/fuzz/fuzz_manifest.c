/* Fuzz target: any text is the manifest of a checkpoint, or refused; one that is read can be written, and reads back the same.
 * The first byte chooses: the rest is the manifest; or what stands behind its hash, which is made to be right; or what a
 * process says of its part, which is added to an empty checkpoint, and to itself. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "engine/checkpoint/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* A text with its hash in front, in memory of exactly its size. */
static char *hashed(const uint8_t *rest, size_t n, size_t *bytes_out)
{
    static const char front[] = "{\"xxh3\":\"0000000000000000\"";
    enum { FRONT = sizeof front - 1, DIGITS = 16 };
    char digits[DIGITS + 1], *text = malloc(FRONT + n);
    require(text);
    memcpy(text, front, FRONT);
    memcpy(text + FRONT, rest, n);
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)weir_hash64(text, FRONT + n, 0));
    memcpy(text + FRONT - 1 - DIGITS, digits, DIGITS);
    *bytes_out = FRONT + n;
    return text;
}

static void found(const struct weir_checkpoint_info *info)
{
    for (int i = 0; i < info->n_tensors; i++) {
        int64_t at = 0;
        for (int p = 0; p < info->tensors[i].n_pieces; at += info->tensors[i].pieces[p++].n)
            require(info->tensors[i].pieces[p].first == at && info->tensors[i].pieces[p].file < info->n_files);
        require(at == info->tensors[i].n_elements);
    }
}

static void manifest(const char *text, size_t n)
{
    struct weir_arena arena = {0};
    struct weir_checkpoint_info info, again;
    const char *printed;
    if (!weir_manifest_parse("D", text, n, &arena, &info)) {
        found(&info);
        require(!weir_manifest_print(&info, &arena, &printed));
        require(!weir_manifest_parse("D", printed, strlen(printed), &arena, &again));
        require(again.n_files == info.n_files && again.n_tensors == info.n_tensors && again.step == info.step);
    }
    weir_arena_release(&arena);
}

static void part(const uint8_t *bytes, size_t n)
{
    struct weir_arena arena = {0};
    struct weir_checkpoint_info info = {0};
    const char *text = NULL;
    if (!weir_arena_printf(&arena, &text, "%.*s", (int)n, (const char *)bytes) &&
        !weir_manifest_part_add("part", text, &arena, &info))
        (void)weir_manifest_part_add("the same", text, &arena, &info);
    weir_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (!n)
        return 0;
    if (bytes[0] % 3 == 2) {
        part(bytes + 1, n - 1);
        return 0;
    }
    size_t length = n - 1;
    char *text = bytes[0] % 3 ? hashed(bytes + 1, n - 1, &length) : malloc(n);
    require(text);
    if (bytes[0] % 3 == 0)
        memcpy(text, bytes + 1, length);
    manifest(text, length);
    free(text);
    return 0;
}
