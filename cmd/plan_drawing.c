/* `dot` is started without a shell, so a name may hold any character, and reads from and writes to files without a name, so
 * nothing waits for anybody and no signal tells that a reader is gone.  Its drawing is put in place when it is whole. */
#include "cmd/plan_drawing.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/replace.h"

extern char **environ;

static weir_status dot_fail(const char *path, const char *reason)
{
    return WEIR_FAIL(WEIR_ERR_IO,
                     "cannot draw '%s': %s; install Graphviz, or give a name that ends in .dot and draw it elsewhere",
                     path, reason);
}

/* The exit status of `dot`, or 127 with the reason in errno when it cannot be started. */
static int dot_run(FILE *in, FILE *out)
{
    char *const words[] = {(char[]){"dot"}, (char[]){"-Tsvg"}, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int state = 0;
    errno = posix_spawn_file_actions_init(&actions);
    if (errno)
        return 127;
    int failed = posix_spawn_file_actions_adddup2(&actions, fileno(in), STDIN_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, fileno(out), STDOUT_FILENO);
    if (!failed)
        failed = posix_spawnp(&child, "dot", &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    errno = failed;
    if (failed)
        return 127;
    while (waitpid(child, &state, 0) < 0)
        if (errno != EINTR)
            return 127;
    return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}

/* All of `file` to `path`. */
static weir_status copy_write(FILE *file, const char *path)
{
    long bytes = fseek(file, 0, SEEK_END) ? -1 : ftell(file);
    char *data;
    if (bytes < 0)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot read the drawing for '%s': %s", path, strerror(errno));
    weir_status status = weir_alloc((size_t)bytes, 1, &data);
    if (status)
        return status;
    rewind(file);
    if (fread(data, 1, (size_t)bytes, file) != (size_t)bytes)
        status = WEIR_FAIL(WEIR_ERR_IO, "cannot read the drawing for '%s'", path);
    else
        status = weir_file_write(path, data, (size_t)bytes);
    weir_free(data);
    return status;
}

static weir_status svg_draw(const char *path, const struct weir_text *text, FILE *in, FILE *out)
{
    char reason[64];
    if (fwrite(text->data, 1, text->length, in) != text->length || fflush(in) || fseek(in, 0, SEEK_SET))
        return WEIR_FAIL(WEIR_ERR_IO, "cannot write the text for '%s': %s", path, strerror(errno));
    int code = dot_run(in, out);
    if (code == 127)
        return dot_fail(path, "Graphviz's program 'dot' is not there or does not start");
    snprintf(reason, sizeof reason, "Graphviz's program 'dot' ended with status %d", code);
    return code ? dot_fail(path, reason) : copy_write(out, path);
}

weir_status plan_drawing_check(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    if (!dot || !strcmp(dot, ".svg") || !strcmp(dot, ".dot") || !strcmp(dot, ".gv"))
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_USAGE, "a drawing is .dot or .svg, not '%s': give --draw a name that ends so", path);
}

weir_status plan_drawing_write(const char *path, const struct weir_text *text)
{
    size_t n = strlen(path);
    if (n < 4 || strcmp(path + n - 4, ".svg") != 0)
        return weir_file_write(path, text->data, text->length);
    FILE *in = tmpfile(), *out = in ? tmpfile() : NULL;
    weir_status status = out ? svg_draw(path, text, in, out)
                             : WEIR_FAIL(WEIR_ERR_IO, "cannot draw '%s': no temporary file: %s", path, strerror(errno));
    if (out)
        fclose(out);
    if (in)
        fclose(in);
    return status;
}
