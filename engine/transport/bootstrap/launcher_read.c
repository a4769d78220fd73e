#include "engine/transport/bootstrap/launcher_read.h"

#include <string.h>

#include "base/text.h"

const char *weir_environment_get(const char *const *environment, const char *name)
{
    size_t length = strlen(name);
    for (; *environment; environment++)
        if (!strncmp(*environment, name, length) && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

weir_status weir_launcher_number_read(const char *const *environment, const char *name, int least, int *value_out)
{
    const char *text = name ? weir_environment_get(environment, name) : NULL;
    int64_t value = -1;
    *value_out = -1;
    if (text && (!weir_parse_int64(text, &value) || value < least || value > INT32_MAX))
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s='%s' is not a number from %d on", name, text, least);
    *value_out = (int)value;
    return WEIR_OK;
}

weir_status weir_launcher_below_check(const char *name, int value, const char *limit_name, int limit)
{
    if (value < 0 || limit < 0 || value < limit)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_USAGE, "%s=%d contradicts %s=%d: it must be less", name, value, limit_name, limit);
}

weir_status weir_launcher_half_set(const char *const *environment, const char *set, const char *missing)
{
    return WEIR_FAIL(WEIR_ERR_USAGE, "%s=%s is set, but %s is not: set both or none", set,
                     weir_environment_get(environment, set), missing);
}
