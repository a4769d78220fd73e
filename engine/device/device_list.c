/* Reading lists of devices: "cuda:0,cuda:1". */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/device/device.h"

enum { MOST_ENTRY = 64, MOST_INDEX = 65535 }; /* bytes of an entry, terminator included */

struct entry {
    char kind[MOST_ENTRY];
    int index; /* -1: none given */
};

/* Read the entry at *text and move on to the next; *text is NULL after the last. */
static weir_status entry_read(const char **text, struct entry *entry)
{
    const char *end = strchrnul(*text, ',');
    size_t n = (size_t)(end - *text);
    int64_t index = -1;
    if (n == 0 || n >= MOST_ENTRY)
        return WEIR_FAIL(WEIR_ERR_USAGE, "device list has an entry of %zu bytes: write it as cuda or cuda:0,cuda:1", n);
    memcpy(entry->kind, *text, n);
    entry->kind[n] = 0;
    char *colon = strchr(entry->kind, ':');
    if (colon) {
        *colon++ = 0;
        if (!weir_parse_int64(colon, &index) || index < 0 || index > MOST_INDEX || *colon == '+')
            return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' is not the number of a device of kind '%s': write it as %s:0", colon,
                             entry->kind, entry->kind);
    }
    entry->index = (int)index;
    *text = *end ? end + 1 : NULL;
    return WEIR_OK;
}

/* weir_device_kind_find, or weir_device_kind_plan. */
typedef weir_status (*kind_fn)(const char *name, const struct weir_device_kind **kind_out);

static weir_status kind_read(const char *text, kind_fn find, const struct weir_device_kind **kind_out)
{
    struct entry entry;
    weir_status status = entry_read(&text, &entry);
    return status ? status : find(entry.kind, kind_out);
}

weir_status weir_device_list_kind(const char *text, const struct weir_device_kind **kind_out)
{
    return kind_read(text, weir_device_kind_find, kind_out);
}

weir_status weir_device_list_kind_plan(const char *text, const struct weir_device_kind **kind_out)
{
    return kind_read(text, weir_device_kind_plan, kind_out);
}

static weir_status entries_count(const char *text, int *n_out)
{
    struct entry first, entry;
    int n = 0;
    while (text) {
        weir_status status = entry_read(&text, n ? &entry : &first);
        if (status)
            return status;
        if (n++ == 0)
            continue;
        if (strcmp(first.kind, entry.kind) != 0)
            return WEIR_FAIL(WEIR_ERR_USAGE, "device list names '%s' and '%s': all ranks use one kind", first.kind,
                             entry.kind);
        if (first.index < 0 || entry.index < 0)
            return WEIR_FAIL(WEIR_ERR_USAGE, "device list names '%s' without a number: write it as %s:0,%s:1",
                             first.kind, first.kind, first.kind);
    }
    *n_out = n;
    return WEIR_OK;
}

static weir_status list_read(const char *text, int n_ranks, kind_fn find, const struct weir_device_kind **kind_out,
                             int *indices_out)
{
    int n = 0;
    struct entry entry;
    const struct weir_device_kind *kind;
    weir_status status = kind_read(text, find, &kind);
    if (!status)
        status = entries_count(text, &n);
    if (status)
        return status;
    if (n > 1 && n != n_ranks)
        return WEIR_FAIL(WEIR_ERR_USAGE, "device list '%s' has %d devices for %d ranks: name one per rank, or one for all",
                         text, n, n_ranks);
    for (int r = 0; r < n_ranks && !status; r++) {
        if (r < n)
            status = entry_read(&text, &entry);
        indices_out[r] = entry.index < 0 ? r : entry.index;
    }
    if (!status)
        *kind_out = kind;
    return status;
}

weir_status weir_device_list(const char *text, int n_ranks, const struct weir_device_kind **kind_out, int *indices_out)
{
    return list_read(text, n_ranks, weir_device_kind_find, kind_out, indices_out);
}

weir_status weir_device_list_plan(const char *text, int n_ranks, const struct weir_device_kind **kind_out, int *indices_out)
{
    return list_read(text, n_ranks, weir_device_kind_plan, kind_out, indices_out);
}
