/* Alternatives are tried from left to right, and the first that matches is the word, however long the others are:
 *
 *     gpt-2      's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *     llama-3    (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+
 *                |\s+(?!\S)|\s+
 *     qwen-2     the same with \p{N} for \p{N}{1,3}
 *
 * White space before a word leaves its last character to that word: \s+(?!\S). */
#include "models/tokens/words.h"

#include <string.h>

#include "models/tokens/unicode.h"

static const struct {
    enum weir_words words;
    const char *expression;
} expressions[] = {
    {WEIR_WORDS_GPT2, "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
    {WEIR_WORDS_GPT2, "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
    {WEIR_WORDS_LLAMA3, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
                        "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
    {WEIR_WORDS_QWEN2, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
                       "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
};

bool weir_words_of(const char *expression, enum weir_words *words_out)
{
    for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++)
        if (!strcmp(expressions[i].expression, expression)) {
            *words_out = expressions[i].words;
            return true;
        }
    return false;
}

/* ---- runs ---------------------------------------------------------------------------------------------------------- */

static enum weir_unicode_class class_at(const char *text, size_t bytes, size_t *size_out)
{
    uint32_t code;
    int n = weir_utf8_read((const unsigned char *)text, bytes, &code);
    *size_out = n > 0 ? (size_t)n : 1;
    return n > 0 ? weir_unicode_class(code) : WEIR_UNICODE_OTHER;
}

/* Characters of one class, `most` at most; *last_out: bytes of the last. */
static size_t run_bytes(const char *text, size_t bytes, enum weir_unicode_class class, size_t most, size_t *last_out)
{
    size_t used = 0, size;
    for (size_t n = 0; n < most && used < bytes && class_at(text + used, bytes - used, &size) == class; n++) {
        used += size;
        *last_out = size;
    }
    return used;
}

static bool is_line_end(char c)
{
    return c == '\r' || c == '\n';
}

/* \s+(?!\S)|\s+ */
static size_t space_bytes(const char *text, size_t bytes)
{
    size_t last = 0, run = run_bytes(text, bytes, WEIR_UNICODE_SPACE, SIZE_MAX, &last);
    return run == bytes || run == last ? run : run - last;
}

/* ---- gpt-2 --------------------------------------------------------------------------------------------------------- */

static size_t contraction_bytes(const char *text, size_t bytes)
{
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0] && text[0] == '\''; i++) {
        size_t n = strlen(endings[i]);
        if (bytes >= n && !memcmp(text, endings[i], n))
            return n;
    }
    return 0;
}

static size_t gpt2_bytes(const char *text, size_t bytes)
{
    size_t size, last, first = contraction_bytes(text, bytes), space = text[0] == ' ' && bytes > 1;
    if (first)
        return first;
    enum weir_unicode_class class = class_at(text + space, bytes - space, &size);
    if (class != WEIR_UNICODE_SPACE)
        return space + run_bytes(text + space, bytes - space, class, SIZE_MAX, &last);
    return space_bytes(text, bytes);
}

/* ---- llama-3 and qwen-2 -------------------------------------------------------------------------------------------- */

/* In any case; U+017F, the long s, is another case of s. */
static size_t any_case_contraction_bytes(const char *text, size_t bytes)
{
    char small[4] = "'";
    if (text[0] != '\'')
        return 0;
    if (bytes >= 3 && !memcmp(text + 1, "\xc5\xbf", 2))
        return 3;
    for (size_t i = 1; i < 3 && i < bytes; i++)
        small[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
    return contraction_bytes(small, bytes < 3 ? bytes : 3);
}

/* \s*[\r\n]+: white space to its last line end, or 0. */
static size_t lines_bytes(const char *text, size_t bytes)
{
    size_t last, run = run_bytes(text, bytes, WEIR_UNICODE_SPACE, SIZE_MAX, &last);
    while (run && !is_line_end(text[run - 1]))
        run--;
    return run;
}

/*  ?[^\s\p{L}\p{N}]+[\r\n]* */
static size_t others_bytes(const char *text, size_t bytes)
{
    size_t last, space = text[0] == ' ';
    size_t run = run_bytes(text + space, bytes - space, WEIR_UNICODE_OTHER, SIZE_MAX, &last);
    if (!run)
        return 0;
    for (run += space; run < bytes && is_line_end(text[run]);)
        run++;
    return run;
}

static size_t llama3_bytes(const char *text, size_t bytes, size_t most_digits)
{
    size_t size, last, n = any_case_contraction_bytes(text, bytes);
    if (n)
        return n;
    enum weir_unicode_class class = class_at(text, bytes, &size);
    if (class == WEIR_UNICODE_NUMBER)
        return run_bytes(text, bytes, class, most_digits, &last);
    size_t before = class == WEIR_UNICODE_LETTER || is_line_end(text[0]) ? 0 : size;
    n = run_bytes(text + before, bytes - before, WEIR_UNICODE_LETTER, SIZE_MAX, &last);
    if (n)
        return before + n;
    n = others_bytes(text, bytes);
    if (!n)
        n = lines_bytes(text, bytes);
    return n ? n : space_bytes(text, bytes);
}

size_t weir_word_bytes(enum weir_words words, const char *text, size_t bytes)
{
    if (words == WEIR_WORDS_GPT2)
        return gpt2_bytes(text, bytes);
    return llama3_bytes(text, bytes, words == WEIR_WORDS_LLAMA3 ? 3 : 1);
}
