#include "base/text_stream.h"

#include <stdbool.h>
#include <stdlib.h>

weir_status weir_text_stream_open(struct weir_text_stream *stream)
{
    *stream = (struct weir_text_stream){NULL, NULL, 0};
    stream->out = open_memstream(&stream->text, &stream->bytes);
    return stream->out ? WEIR_OK : WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for a text");
}

weir_status weir_text_stream_close(struct weir_text_stream *stream, weir_text_fn say, void *context)
{
    bool whole = !ferror(stream->out);
    whole &= fclose(stream->out) == 0;
    if (whole && say)
        say(context, stream->text, stream->bytes);
    free(stream->text);
    return whole ? WEIR_OK : WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for a text");
}

void weir_text_to_file(void *file, const char *text, size_t bytes)
{
    fwrite(text, 1, bytes, file);
}
