#include "cmd/drawing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/printable.h"
#include "base/text.h"
#include "cmd/schedule_input.h"

weir_status drawing_format_find(const char *name, const char *path, enum drawing_format *format_out)
{
    static const char *const names[] = {"text", "svg", "html", "trace", NULL}, *const ends[] = {".txt", ".svg", ".html", ".json"};
    int format = DRAWING_TEXT;
    weir_status status = name ? weir_name_find("format", name, names, &format) : WEIR_OK;
    const char *slash = path ? strrchr(path, '/') : NULL, *dot = path ? strrchr(slash ? slash : path, '.') : NULL;
    if (status)
        return status;
    if (!name && dot) {
        while (format <= DRAWING_TRACE && strcmp(dot, ends[format]) != 0)
            format++;
        if (format > DRAWING_TRACE)
            return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' ends in none of .txt, .svg, .html and .json: give --format, or another name", path);
    }
    *format_out = (enum drawing_format)format;
    return WEIR_OK;
}

weir_status drawing_title(const char *what, const struct weir_schedule *schedule, const char *origin, struct weir_arena *arena,
                          const char **title_out)
{
    enum { LONGEST = 200 };
    char name[LONGEST];
    const char *slash = strrchr(what, '/');
    what = strcmp(what, "-") ? what : "standard input";
    weir_printable(slash && slash[1] ? slash + 1 : what, name, sizeof name);
    char size[SCHEDULE_SIZE_TEXT];
    return weir_arena_printf(arena, title_out, "%s: %s, %s", name, schedule_size_text(schedule, size), origin);
}

/* Columns of the terminal, those that COLUMNS says, or 80. */
static int columns_find(void)
{
    struct winsize size = {0};
    const char *columns = getenv("COLUMNS");
    int64_t said = 0;
    if (isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
        return size.ws_col;
    return columns && weir_parse_int64(columns, &said) && said >= 20 && said <= 10000 ? (int)said : 80;
}

static bool has_colour(const char *path)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    if (path && strcmp(path, "-") != 0)
        return false;
    return isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && !(terminal && !strcmp(terminal, "dumb"));
}

weir_status drawing_write(const struct weir_timeline *const *timelines, int n, enum drawing_format format,
                          const struct weir_draw_options *options, const char *path)
{
    static const enum weir_draw_form forms[] = {WEIR_DRAW_TEXT, WEIR_DRAW_SVG, WEIR_DRAW_HTML};
    struct weir_draw_options chosen = *options;
    struct weir_text text = {0};
    if (format == DRAWING_TEXT) {
        chosen.width = options->width ? options->width : columns_find();
        chosen.colour = has_colour(path);
    }
    weir_status status = weir_timelines_draw(timelines, n, forms[format], &chosen, weir_text_take, &text);
    if (!status)
        status = text.status ? text.status : schedule_text_write(path, text.data);
    weir_text_release(&text);
    return status;
}
