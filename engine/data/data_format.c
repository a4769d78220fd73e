#include "include/weir/data.h"

#include <string.h>

#include "base/text.h"

#define WORD(name, word) word,
static const char *const words[] = {WEIR_DATA_FORMAT_TABLE(WORD) NULL};
#undef WORD

const char *weir_data_format_str(enum weir_data_format format)
{
    return (unsigned)format < WEIR_DATA_FORMATS ? words[format] : "?";
}

weir_status weir_data_format_find(const char *name, enum weir_data_format *format_out)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(words[i], name)) {
            *format_out = (enum weir_data_format)i;
            return WEIR_OK;
        }
    return weir_unknown("data format", name, words);
}
