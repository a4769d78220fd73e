#include "engine/device/device.h"

#include <string.h>

#include "base/text.h"


const struct weir_device_kind *const weir_device_kinds[] = {
    &weir_device_cpu,
    NULL,
};

/* Every kind that Weir has, and what builds it in. */
static const struct known_kind {
    const char *name, *option;
} known_kinds[] = {
    {"cpu", NULL},
    {"cuda", "-DWEIR_CUDA=ON"},
};
enum { KNOWN_KINDS = sizeof known_kinds / sizeof known_kinds[0] };

static weir_status kind_missing(const char *name)
{
    const char *names[KNOWN_KINDS + 1] = {0};
    for (int k = 0; k < KNOWN_KINDS; k++) {
        if (strcmp(name, known_kinds[k].name) == 0)
            return WEIR_FAIL(WEIR_ERR_USAGE, "device '%s' is not in this build: configure with %s", name,
                             known_kinds[k].option);
        names[k] = known_kinds[k].name;
    }
    const char *near = weir_suggest(name, names);
    return WEIR_FAIL(WEIR_ERR_USAGE, "unknown device '%s'%s%s%s", name, near ? ": did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
}

weir_status weir_device_kind_find(const char *name, const struct weir_device_kind **kind_out)
{
    for (const struct weir_device_kind *const *kind = weir_device_kinds; *kind; kind++)
        if (strcmp(name, (*kind)->name) == 0) {
            *kind_out = *kind;
            return WEIR_OK;
        }
    return kind_missing(name);
}
