#include "tests/support/include_scan.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

/* A cursor over text that joins continued lines as it goes. */
struct cursor {
    const char *at;
    int line;
};

static void splice(struct cursor *c)
{
    for (;;) {
        size_t n = c->at[0] != '\\' ? 0 : c->at[1] == '\n' ? 2 : c->at[1] == '\r' && c->at[2] == '\n' ? 3 : 0;
        if (!n)
            return;
        c->at += n;
        c->line++;
    }
}

static char peek(struct cursor *c)
{
    splice(c);
    return *c->at;
}

static char next(struct cursor *c)
{
    char ch = peek(c);
    if (!ch)
        return 0;
    c->line += ch == '\n';
    c->at++;
    splice(c);
    return ch;
}

/* Skip a comment that starts here; false when none does. */
static bool comment_skip(struct cursor *c)
{
    struct cursor ahead = *c;
    if (next(&ahead) != '/' || (peek(&ahead) != '*' && peek(&ahead) != '/'))
        return false;
    bool block = next(&ahead) == '*';
    char last = 0;
    while (peek(&ahead)) {
        if (!block && peek(&ahead) == '\n')
            break;
        char ch = next(&ahead);
        if (block && last == '*' && ch == '/')
            break;
        last = ch;
    }
    *c = ahead;
    return true;
}

static void literal_skip(struct cursor *c)
{
    char quote = next(c);
    while (peek(c) && peek(c) != '\n') {
        char ch = next(c);
        if (ch == '\\')
            next(c);
        else if (ch == quote)
            return;
    }
}

static void blanks_skip(struct cursor *c)
{
    while (comment_skip(c) || (peek(c) && strchr(" \t\f\v\r", peek(c))))
        if (peek(c) && strchr(" \t\f\v\r", peek(c)))
            next(c);
}

static void line_skip(struct cursor *c)
{
    while (peek(c) && peek(c) != '\n') {
        if (peek(c) == '"' || peek(c) == '\'')
            literal_skip(c);
        else if (!comment_skip(c))
            next(c);
    }
}

static void word_read(struct cursor *c, char *word, size_t size)
{
    size_t n = 0;
    while (isalnum((unsigned char)peek(c)) || peek(c) == '_') {
        char ch = next(c);
        if (n + 1 < size)
            word[n++] = ch;
    }
    word[n] = 0;
}

static void path_read(struct cursor *c, struct include_directive *include)
{
    char close = peek(c) == '<' ? '>' : peek(c) == '"' ? '"' : 0;
    if (!close)
        return;
    include->angled = close == '>';
    next(c);
    size_t n = 0;
    while (peek(c) && peek(c) != close && peek(c) != '\n' && n + 1 < sizeof include->path)
        include->path[n++] = next(c);
    if (peek(c) == close)
        next(c);
    else
        n = 0;
    include->path[n] = 0;
}

static void directive_read(struct cursor *c, int line, include_fn found, void *context)
{
    char word[32];
    blanks_skip(c);
    word_read(c, word, sizeof word);
    if (strcmp(word, "include") != 0 && strcmp(word, "include_next") != 0 && strcmp(word, "import") != 0)
        return;
    struct include_directive include = {.line = line};
    blanks_skip(c);
    path_read(c, &include);
    found(&include, context);
}

void include_scan(const char *text, include_fn found, void *context)
{
    struct cursor c = {text, 1};
    while (peek(&c)) {
        blanks_skip(&c);
        int line = c.line;
        struct cursor ahead = c;
        char first = next(&ahead);
        if (first == '#' || (first == '%' && next(&ahead) == ':')) {
            c = ahead;
            directive_read(&c, line, found, context);
        }
        line_skip(&c);
        next(&c);
    }
}
