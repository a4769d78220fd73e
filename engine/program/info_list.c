/* What this build has and what this machine is, for programs: include/weir/info.h. */
#include "include/weir/info.h"

#include "engine/device/device.h"
#include "engine/transport/transport.h"
#include "weir_libraries.h"

struct library {
    const char *name;
    bool there;
    const char *version, *option;
    bool used;
};

static const struct library libraries[] = {
#define LIBRARY_ROW(name, there, version, option, used) {name, there, version, option, used},
    WEIR_LIBRARIES_TABLE(LIBRARY_ROW)
#undef LIBRARY_ROW
};

weir_status weir_info_machine(char *text, size_t room)
{
    return weir_cpu_describe(text, room);
}

int weir_info_cores(void)
{
    return weir_cpu_cores();
}

const char *weir_info_instructions(void)
{
#if defined(__x86_64__) && defined(WEIR_NO_AVX512)
    return __builtin_cpu_supports("avx2") ? "avx2" : "sse2";
#elif defined(__x86_64__)
    return __builtin_cpu_supports("avx512bf16") ? "avx512_bf16" : __builtin_cpu_supports("avx512f") ? "avx512"
         : __builtin_cpu_supports("avx2") ? "avx2" : "sse2";
#else
    return "other";
#endif
}

/* ---- devices --------------------------------------------------------------------------------------------------------- */

const char *weir_info_device(int index)
{
    const struct weir_device_kind *kind = weir_device_kind_at(index);
    return kind ? kind->name : NULL;
}

const char *weir_info_device_summary(int index)
{
    const struct weir_device_kind *kind = weir_device_kind_at(index);
    return kind ? kind->summary : NULL;
}

bool weir_info_device_is_dry(const char *devices)
{
    const struct weir_device_kind *kind;
    return !weir_device_list_kind_plan(devices, &kind) && kind->flags & WEIR_DEVICE_DRY;
}

weir_status weir_info_device_count(int index, int *n_out)
{
    const struct weir_device_kind *kind = weir_device_kind_at(index);
    return kind ? kind->count(n_out) : WEIR_FAIL(WEIR_ERR_INVALID, "there is no kind of device %d", index);
}

weir_status weir_info_device_find(const char *name)
{
    const struct weir_device_kind *kind;
    return weir_device_kind_find(name, &kind);
}

/* ---- transports ------------------------------------------------------------------------------------------------------ */

const char *weir_info_transport(int index)
{
    const struct weir_transport_kind *kind = weir_transport_kind_at(index);
    return kind ? kind->name : NULL;
}

const char *weir_info_transport_summary(int index)
{
    const struct weir_transport_kind *kind = weir_transport_kind_at(index);
    return kind ? kind->summary : NULL;
}

/* ---- libraries ------------------------------------------------------------------------------------------------------- */

static const struct library *library_at(int index)
{
    return index >= 0 && (size_t)index < sizeof libraries / sizeof libraries[0] ? &libraries[index] : NULL;
}

const char *weir_info_library(int index)
{
    const struct library *library = library_at(index);
    return library ? library->name : NULL;
}

const char *weir_info_library_version(int index)
{
    const struct library *library = library_at(index);
    return library && library->there ? library->version : NULL;
}

const char *weir_info_library_option(int index)
{
    const struct library *library = library_at(index);
    return library ? library->option : NULL;
}

bool weir_info_library_is_used(int index)
{
    const struct library *library = library_at(index);
    return library && library->used;
}
