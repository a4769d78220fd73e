/* Cuts as text.  A layout is unrolled first, letter by letter ("Et*2|L" is "Ett|L"), and then laid over the layers. */
#include "include/weir/plan.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"

enum { MOST_LETTERS = 1 << 18, MOST_DEPTH = 32 };

/* ---- numbers ------------------------------------------------------------------------------------------------------- */

static weir_status ends_check(const struct weir_graph *graph, const int *first_layer, int n)
{
    if (first_layer[0] != 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "the first stage begins with layer %d, it must be 0", first_layer[0]);
    for (int s = 0; s < n; s++) {
        if (first_layer[s] >= graph->n_layers)
            return WEIR_FAIL(WEIR_ERR_USAGE, "stage %d begins with layer %d, model '%s' has layers 0 to %d", s, first_layer[s],
                             graph->name, graph->n_layers - 1);
        if (s && first_layer[s] <= first_layer[s - 1])
            return WEIR_FAIL(WEIR_ERR_USAGE, "stage %d begins with layer %d and stage %d with layer %d: stage %d would be empty",
                             s - 1, first_layer[s - 1], s, first_layer[s], s - 1);
    }
    return WEIR_OK;
}

/* The number at *text, which ends at a comma or at the end; moves on behind the comma, to NULL after the last. */
static weir_status number_read(const char **text, int *layer_out)
{
    char word[16] = "";
    int64_t value = -1;
    const char *end = strchrnul(*text, ',');
    size_t n = (size_t)(end - *text);
    if (n < sizeof word)
        memcpy(word, *text, n);
    if (!isdigit((unsigned char)word[0]) || !weir_parse_int64(word, &value) || value > INT32_MAX)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%.*s' is not the number of a layer: write the first layer of each stage, as in 0,5,9",
                         (int)(n < 40 ? n : 40), *text);
    *layer_out = (int)value;
    *text = *end ? end + 1 : NULL;
    return WEIR_OK;
}

weir_status weir_layer_cut_numbers(const char *text, const struct weir_graph *graph, struct weir_arena *arena,
                                   struct weir_layer_cut *cut_out)
{
    size_t room = 2;
    int *first_layer, n = 0;
    for (const char *c = text; *c; c++)
        room += *c == ',';
    weir_status status = weir_arena_alloc(arena, room, sizeof *first_layer, &first_layer);
    while (text && !status)
        status = number_read(&text, &first_layer[n++]);
    if (!status)
        status = ends_check(graph, first_layer, n);
    if (status)
        return status;
    first_layer[n] = graph->n_layers;
    *cut_out = (struct weir_layer_cut){n, first_layer};
    return WEIR_OK;
}

/* Release it, given to `say` unless something has failed. */
static weir_status text_give(weir_status status, struct weir_text *text, weir_text_fn say, void *context)
{
    status = status ? status : text->status;
    if (!status)
        say(context, text->data, text->length);
    weir_text_release(text);
    return status;
}

weir_status weir_layer_cut_print(const struct weir_layer_cut *cut, weir_text_fn say, void *context)
{
    struct weir_text text = {0};
    for (int s = 0; s < cut->n_stages; s++)
        weir_text_append(&text, s ? ",%d" : "%d", cut->first_layer[s]);
    return text_give(WEIR_OK, &text, say, context);
}

/* ---- unrolling a layout -------------------------------------------------------------------------------------------- */

struct unroller {
    const char *layout, *next;
    struct weir_text letters;
    int depth;
};

static weir_status at(const struct unroller *u, const char *what)
{
    return WEIR_FAIL(WEIR_ERR_USAGE, "layout '%.200s', character %d: %s", u->layout, (int)(u->next - u->layout) + 1, what);
}

/* "*n" behind the item that begins at letter `begin`. */
static weir_status repeat(struct unroller *u, size_t begin)
{
    int64_t n = 0;
    size_t length = u->letters.length - begin;
    const char *star = u->next++;
    while (isdigit((unsigned char)*u->next) && n < MOST_LETTERS)
        n = 10 * n + (*u->next++ - '0');
    bool too_many = n * (int64_t)length > MOST_LETTERS;
    if (n < 1 || too_many || isdigit((unsigned char)*u->next)) {
        u->next = star;
        return at(u, n < 1 ? "'*' needs a number of at least 1" : "more letters than any model has layers");
    }
    for (size_t i = 0; i < (size_t)(n - 1) * length; i++) /* one by one: the text moves while it grows */
        weir_text_append(&u->letters, "%c", u->letters.data[begin + i]);
    return u->letters.status;
}

static weir_status items(struct unroller *u);

static weir_status group(struct unroller *u)
{
    u->next++;
    if (++u->depth > MOST_DEPTH)
        return at(u, "groups within groups, too many of them");
    weir_status status = items(u);
    u->depth--;
    if (!status && *u->next != ')')
        return at(u, "a '(' is not closed");
    u->next++;
    return status;
}

static weir_status letter(struct unroller *u)
{
    char c = *u->next;
    if (c == 'm')
        return at(u, "'m' is a layer of multi-token prediction, which no model here has");
    if (!strchr("EtL|", c))
        return at(u, "only E, t, L, |, *n and groups in parentheses are known");
    u->next++;
    weir_text_append(&u->letters, "%c", c);
    return u->letters.status;
}

static bool says_nothing(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Up to the end, or the parenthesis that closes this group. */
static weir_status items(struct unroller *u)
{
    while (*u->next && *u->next != ')') {
        size_t begin = u->letters.length;
        if (says_nothing(*u->next)) {
            u->next++;
            continue;
        }
        weir_status status = *u->next == '(' ? group(u) : letter(u);
        if (!status && *u->next == '*')
            status = repeat(u, begin);
        if (status)
            return status;
        if (u->letters.length > MOST_LETTERS)
            return at(u, "more letters than any model has layers");
    }
    return WEIR_OK;
}

static weir_status unroll(struct unroller *u)
{
    weir_status status = items(u);
    if (!status && *u->next)
        return at(u, "a ')' that closes nothing");
    return status;
}

/* ---- a layout over layers ------------------------------------------------------------------------------------------ */

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end);
}

/* Blocks of a model that is an embedding, pairs of attention and MLP, and a head; -1: it is another. */
static int blocks_count(const struct weir_graph *graph)
{
    int n = graph->n_layers;
    if (n < 2 || n % 2 || strcmp(graph->layers[0].name, "embed") != 0 || strcmp(graph->layers[n - 1].name, "head") != 0)
        return -1;
    for (int l = 1; l < n - 1; l++)
        if (!ends_with(graph->layers[l].name, l % 2 ? "attn" : "mlp"))
            return -1;
    return n / 2 - 1;
}

static weir_status blocks_find(const struct weir_graph *graph, int *n_out)
{
    *n_out = blocks_count(graph);
    return *n_out >= 0 ? WEIR_OK
                       : WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "model '%s' does not consist of an embedding, blocks and a head, which "
                                                         "a layout has letters for: use " WEIR_OPTION("first_layers"), graph->name);
}

static int count(const char *letters, char c)
{
    int n = 0;
    for (; *letters; letters++)
        n += *letters == c;
    return n;
}

/* E t...t L, once and in this order, with borders between them. */
static weir_status letters_check(const struct unroller *u, const struct weir_graph *graph, int n_blocks)
{
    const char *letters = u->letters.data ? u->letters.data : "";
    int stage = 0;
    if (count(letters, 'E') != 1 || letters[0] != 'E')
        return WEIR_FAIL(WEIR_ERR_USAGE, "layout '%.200s' must begin with E, the embedding, and have no other", u->layout);
    if (count(letters, 'L') != 1 || letters[strlen(letters) - 1] != 'L')
        return WEIR_FAIL(WEIR_ERR_USAGE, "layout '%.200s' must end with L, head and loss, and have no other", u->layout);
    for (const char *c = letters; *c; c++) {
        if (c[0] == '|' && c[1] == '|')
            return WEIR_FAIL(WEIR_ERR_USAGE, "layout '%.200s': stage %d is empty", u->layout, stage + 1);
        stage += *c == '|';
    }
    if (count(letters, 't') != n_blocks)
        return WEIR_FAIL(WEIR_ERR_USAGE, "layout '%.200s' has %d block%s (t), model '%s' has %d", u->layout, count(letters, 't'),
                         count(letters, 't') == 1 ? "" : "s", graph->name, n_blocks);
    return WEIR_OK;
}

static weir_status letters_lay(const char *letters, const struct weir_graph *graph, struct weir_arena *arena,
                               struct weir_layer_cut *cut_out)
{
    int *first_layer, n_stages = count(letters, '|') + 1, layer = 0, stage = 0;
    weir_status status = weir_arena_alloc(arena, (size_t)n_stages + 1, sizeof *first_layer, &first_layer);
    if (status)
        return status;
    for (; *letters; letters++)
        if (*letters == '|')
            first_layer[++stage] = layer;
        else
            layer += *letters == 't' ? 2 : 1;
    first_layer[n_stages] = graph->n_layers;
    *cut_out = (struct weir_layer_cut){n_stages, first_layer};
    return WEIR_OK;
}

weir_status weir_layer_cut_layout(const char *text, const struct weir_graph *graph, struct weir_arena *arena,
                                  struct weir_layer_cut *cut_out)
{
    struct unroller u = {.layout = text, .next = text};
    int n_blocks;
    weir_status status = blocks_find(graph, &n_blocks);
    if (!status)
        status = unroll(&u);
    if (!status)
        status = letters_check(&u, graph, n_blocks);
    if (!status)
        status = letters_lay(u.letters.data, graph, arena, cut_out);
    weir_text_release(&u.letters);
    return status;
}

/* ---- a layout from a cut ------------------------------------------------------------------------------------------- */

static void blocks_print(int n, struct weir_text *text)
{
    if (n == 1)
        weir_text_append(text, "t");
    else if (n > 1)
        weir_text_append(text, "t*%d", n);
}

static void stage_print(const struct weir_layer_cut *cut, int s, int n_layers, struct weir_text *text)
{
    int first = cut->first_layer[s], end = cut->first_layer[s + 1], n = end - first;
    bool embeds = first == 0, last = end == n_layers;
    weir_text_append(text, "%s%s", s ? "|" : "", embeds ? "E" : "");
    blocks_print((n - embeds - last) / 2, text);
    weir_text_append(text, "%s", last ? "L" : "");
}

weir_status weir_layer_cut_layout_print(const struct weir_layer_cut *cut, const struct weir_graph *graph, weir_text_fn say, void *context)
{
    struct weir_text text = {0};
    int n_blocks;
    weir_status status = blocks_find(graph, &n_blocks);
    for (int s = 1; s < cut->n_stages && !status; s++)
        if (cut->first_layer[s] % 2 == 0)
            status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "stage %d begins inside a block, with layer %d ('%s'): a layout has whole "
                                                     "blocks only", s, cut->first_layer[s], graph->layers[cut->first_layer[s]].name);
    for (int s = 0; s < cut->n_stages && !status; s++)
        stage_print(cut, s, graph->n_layers, &text);
    return text_give(status, &text, say, context);
}
