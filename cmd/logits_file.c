#include "cmd/logits_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HEADER = 128 }; /* bytes before the values, a multiple of 64 */

/* Always as long, so that it can be written again when the number of rows is known. */
static void header_make(const struct logits_file *logits, char header[HEADER])
{
    static const char magic[] = "\x93NUMPY\x01";
    int before = (int)sizeof magic + 2; /* the version ends with the string's zero; then the length of what follows */
    memcpy(header, magic, sizeof magic);
    header[sizeof magic] = (char)(HEADER - before);
    header[sizeof magic + 1] = 0;
    int n = snprintf(header + before, (size_t)(HEADER - before),
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRId64 ", %" PRId64 ", %" PRId64 "), }",
                     logits->n_rows / logits->n_samples, logits->n_samples, logits->vocabulary);
    memset(header + before + n, ' ', (size_t)(HEADER - before - n));
    header[HEADER - 1] = '\n';
}

weir_status logits_open(struct logits_file *logits, const char *path, int64_t n_samples, int64_t vocabulary)
{
    char header[HEADER];
    *logits = (struct logits_file){.n_samples = n_samples, .vocabulary = vocabulary};
    weir_status status = weir_replace_open(path, NULL, &logits->file);
    if (status)
        return status;
    if (logits->file.in_place)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' of --logits is no file: its first bytes say how many rows follow, and are written last",
                         path);
    header_make(logits, header);
    return weir_replace_write(&logits->file, header, sizeof header);
}

weir_status logits_add(struct logits_file *logits, const float *values)
{
    logits->n_rows++;
    return weir_replace_write(&logits->file, values, (size_t)logits->vocabulary * sizeof *values);
}

weir_status logits_commit(struct logits_file *logits)
{
    char header[HEADER];
    header_make(logits, header);
    if (pwrite(logits->file.fd, header, sizeof header, 0) != (ssize_t)sizeof header)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot write '%s': %s", logits->file.path, strerror(errno));
    return weir_replace_commit(&logits->file);
}

void logits_abort(struct logits_file *logits)
{
    if (logits->file.path)
        weir_replace_abort(&logits->file);
}
