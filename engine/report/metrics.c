#include "include/weir/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/grown.h"
#include "base/json.h"
#include "base/replace.h"
#include "base/text.h"

enum { LINE_BYTES = 640, RANK_BYTES = 24 }; /* most of a line without its list, and of one number of the list */

struct weir_metrics {
    char *path, *line;
    char *run; /* the first line; NULL: none, or written */
    size_t line_bytes;
    int file, n_ranks;
    bool created, regular;
    off_t written; /* bytes of whole lines */
    bool any;      /* a line was written */
};

void weir_metrics_number(double value, char text[32])
{
    if (!isfinite(value)) {
        memcpy(text, "null", 5);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    char *comma = strchr(text, ','); /* the program that embeds us may have set a locale */
    if (comma)
        *comma = '.';
}

/* false: another open file has it.  It goes with the file.  Without locks in the file system all go on. */
static bool lock_take(int file)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(file, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

static weir_status file_open(weir_metrics *metrics)
{
    struct stat info;
    metrics->file = open(metrics->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    metrics->created = metrics->file >= 0;
    if (metrics->file < 0 && errno == EEXIST)
        metrics->file = weir_in_place_open(metrics->path);
    if (metrics->file < 0 && errno == ENOENT) { /* a link to a file that is still to come */
        metrics->file = open(metrics->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        metrics->created = metrics->file >= 0;
    }
    if (metrics->file < 0 || fstat(metrics->file, &info) != 0)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot write metrics to '%s': %s", metrics->path,
                         errno == ENXIO ? "nobody reads this pipe" : strerror(errno));
    metrics->regular = S_ISREG(info.st_mode);
    if (metrics->regular && !lock_take(metrics->file))
        return WEIR_FAIL(WEIR_ERR_IO, "'%s' is being written by another run: give the metrics of this one another name",
                         metrics->path);
    return WEIR_OK;
}

weir_status weir_metrics_open(const char *path, int n_ranks, weir_metrics **metrics_out)
{
    weir_metrics *metrics;
    if (n_ranks < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "metrics of %d ranks: there must be at least 1", n_ranks);
    weir_status status = weir_alloc(1, sizeof *metrics, &metrics);
    if (status)
        return status;
    metrics->file = -1;
    metrics->n_ranks = n_ranks;
    metrics->line_bytes = LINE_BYTES + RANK_BYTES * (size_t)n_ranks;
    status = weir_strdup(path, &metrics->path);
    if (!status)
        status = weir_alloc(metrics->line_bytes, 1, &metrics->line);
    if (!status)
        status = file_open(metrics);
    if (status) {
        weir_metrics_close(metrics);
        return status;
    }
    *metrics_out = metrics;
    return WEIR_OK;
}

/* What not every caller says.  Returns the length of the line. */
static size_t more_add(const struct weir_metrics_step *step, char *line, size_t n, size_t size)
{
    const struct {
        const char *name;
        double value;
    } fields[] = {{"data_wait_ms", step->data_wait_ms}, {"flops", step->flops}, {"mfu", step->mfu}};
    char number[32];
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        weir_metrics_number(fields[i].value, number);
        if (fields[i].value > 0)
            n += (size_t)snprintf(line + n, size - n, ", \"%s\": %s", fields[i].name, number);
    }
    return n;
}

static size_t line_make(const weir_metrics *metrics, const struct weir_metrics_step *step)
{
    const struct {
        const char *name;
        double value;
    } fields[] = {{"loss", step->loss},         {"grad_norm", step->grad_norm}, {"lr", step->lr},
                  {"tokens_per_s", step->tokens_per_s}, {"step_ms", step->step_ms},     {"bubble", step->bubble}};
    char *line = metrics->line, number[32];
    size_t size = metrics->line_bytes;
    size_t n = (size_t)snprintf(line, size, "{\"step\": %lld", (long long)step->step);
    if (step->time_s > 0) {
        weir_metrics_number(step->time_s, number);
        n += (size_t)snprintf(line + n, size - n, ", \"time_s\": %s", number);
    }
    if (step->tokens > 0)
        n += (size_t)snprintf(line + n, size - n, ", \"tokens\": %lld", (long long)step->tokens);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        weir_metrics_number(fields[i].value, number);
        n += (size_t)snprintf(line + n, size - n, ", \"%s\": %s", fields[i].name, number);
    }
    n = more_add(step, line, n, size);
    if (step->val_loss) {
        weir_metrics_number(*step->val_loss, number);
        n += (size_t)snprintf(line + n, size - n, ", \"val_loss\": %s", number);
    }
    for (int rank = 0; step->peak_bytes && rank < metrics->n_ranks; rank++)
        n += (size_t)snprintf(line + n, size - n, "%s%lld", rank ? ", " : ", \"peak_bytes\": [", (long long)step->peak_bytes[rank]);
    return n + (size_t)snprintf(line + n, size - n, "%s}\n", step->peak_bytes ? "]" : "");
}

static bool write_whole(int file, const char *data, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(file, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

/* Cut the file to its whole lines (at first: forget what it held before). */
static bool file_cut(const weir_metrics *metrics)
{
    return !metrics->regular ||
           (ftruncate(metrics->file, metrics->written) == 0 && lseek(metrics->file, metrics->written, SEEK_SET) >= 0);
}

/* The line is in the file, or the file is as it was. */
static weir_status line_write(weir_metrics *metrics, const char *line, size_t n)
{
    bool good = (metrics->any || file_cut(metrics)) && write_whole(metrics->file, line, n);
    if (!good) {
        int reason = errno;
        if (metrics->any && !file_cut(metrics))
            reason = errno;
        return WEIR_FAIL(WEIR_ERR_IO, "cannot write metrics to '%s': %s", metrics->path, strerror(reason));
    }
    metrics->any = true;
    metrics->written += (off_t)n;
    return WEIR_OK;
}

/* A whole line of a step up to the last, or of what the run is. */
static bool line_stays(const char *line, size_t n, int64_t steps)
{
    static const char step[] = "{\"step\": ", run[] = "{\"run\": ";
    if (!n || line[n - 1] != '\n')
        return false;
    if (n >= sizeof run && !memcmp(line, run, sizeof run - 1))
        return true;
    return n >= sizeof step && !memcmp(line, step, sizeof step - 1) && strtoll(line + sizeof step - 1, NULL, 10) <= steps;
}

weir_status weir_metrics_continue(weir_metrics *metrics, int64_t steps)
{
    char *line = NULL;
    size_t room = 0;
    if (steps < 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' cannot go on after %lld steps", metrics->path, (long long)steps);
    FILE *file = metrics->regular && !metrics->created ? fopen(metrics->path, "re") : NULL;
    if (metrics->regular && !metrics->created && !file)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot read the metrics in '%s': %s", metrics->path, strerror(errno));
    for (ssize_t n = 0; file && (n = getline(&line, &room, file)) > 0 && line_stays(line, (size_t)n, steps);)
        metrics->written += n;
    bool good = !file || !ferror(file);
    if (file)
        fclose(file);
    free(line);
    return good ? WEIR_OK : WEIR_FAIL(WEIR_ERR_IO, "cannot read the metrics in '%s'", metrics->path);
}

/* The object, from its brace on; else the file would not be one object per line. */
static weir_status object_check(const char *text, const char **object_out)
{
    json_t *root;
    const char *object = text ? text + strspn(text, " \t") : "";
    if (*object != '{' || strpbrk(object, "\r\n"))
        return WEIR_FAIL(WEIR_ERR_INVALID, "what a run is must be a JSON object on one line, not '%.40s'", text ? text : "NULL");
    weir_status status = weir_json_parse(object, strlen(object), "what the run is", &root);
    if (status)
        return status;
    json_decref(root);
    *object_out = object;
    return WEIR_OK;
}

weir_status weir_metrics_run(weir_metrics *metrics, const char *object)
{
    struct weir_text line = {0};
    weir_status status = object_check(object, &object);
    if (status)
        return status;
    weir_text_append(&line, "{\"run\": %s}\n", object);
    if (line.status)
        return line.status;
    weir_free(metrics->run);
    metrics->run = line.data;
    return WEIR_OK;
}

weir_status weir_metrics_write_sized(weir_metrics *metrics, const struct weir_metrics_step *step, size_t step_bytes)
{
    struct weir_metrics_step own;
    weir_status status = weir_grown_take("weir_metrics_step", "its size is that of the program's struct", step, step_bytes, &own, sizeof own);
    if (!status && metrics->run && !metrics->written)
        status = line_write(metrics, metrics->run, strlen(metrics->run));
    return status ? status : line_write(metrics, metrics->line, line_make(metrics, &own));
}

static bool is_regular(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

weir_status weir_metrics_run_read(const char *path, struct weir_arena *arena, const char **object_out)
{
    static const char begin[] = "{\"run\": ", end[] = "}\n";
    char *line = NULL;
    size_t room = 0, around = sizeof begin + sizeof end - 2;
    *object_out = NULL;
    FILE *file = is_regular(path) ? fopen(path, "re") : NULL;
    if (!file)
        return WEIR_OK; /* opening it for writing says why */
    ssize_t n = getline(&line, &room, file);
    bool is_run = n > (ssize_t)around && !memcmp(line, begin, sizeof begin - 1) && !strcmp(line + n - sizeof end + 1, end);
    weir_status status = ferror(file) ? WEIR_FAIL(WEIR_ERR_IO, "cannot read the metrics in '%s': %s", path, strerror(errno)) : WEIR_OK;
    if (!status && is_run)
        status = weir_arena_printf(arena, object_out, "%.*s", (int)(n - (ssize_t)around), line + sizeof begin - 1);
    fclose(file);
    free(line);
    return status;
}

bool weir_metrics_is_file(const char *path)
{
    static const char step[] = "{\"step\": ", run[] = "{\"run\": {";
    char found[sizeof step - 1];
    if (!is_regular(path))
        return true;
    FILE *file = fopen(path, "re");
    size_t n = file ? fread(found, 1, sizeof found, file) : 0;
    if (file)
        fclose(file);
    return !n || (n == sizeof found && (!memcmp(found, step, n) || !memcmp(found, run, n)));
}

void weir_metrics_close(weir_metrics *metrics)
{
    char target[PATH_MAX];
    if (!metrics)
        return;
    if (metrics->file >= 0)
        close(metrics->file);
    if (metrics->created && !metrics->any && realpath(metrics->path, target)) /* a link stays */
        unlink(target);
    weir_free(metrics->run);
    weir_free(metrics->line);
    weir_free(metrics->path);
    weir_free(metrics);
}
