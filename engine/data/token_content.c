#include "engine/data/token_content.h"

#include <string.h>
#include <strings.h>

int weir_token_width(enum weir_token_type type)
{
#define WIDTH(name, width) width,
    static const unsigned char widths[] = {WEIR_TOKEN_TABLE(WIDTH)};
#undef WIDTH
    return widths[type];
}

void weir_token_file_set(const struct weir_token_content *content, enum weir_token_type type, size_t first_byte,
                         struct weir_token_file *file)
{
    file->type = type;
    file->width = weir_token_width(type);
    file->first_byte = first_byte;
    file->tokens = content->whole ? content->bytes + first_byte : NULL;
    file->n_tokens = (int64_t)((content->n_bytes - first_byte) / (size_t)file->width);
}

bool weir_name_ends(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcasecmp(name + n - m, end);
}
