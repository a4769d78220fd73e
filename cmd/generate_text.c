/* weir generate: tokens as bytes, as pieces of a tokenizer, or as numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/generate_text.h"
#include "include/weir/tokens.h"

enum { BYTE_VOCABULARY = 256 };

weir_status generate_codec_open(struct generate_codec *codec, const struct generate_options *o, int64_t vocabulary,
                                struct weir_arena *arena)
{
    const struct codec_choice choice = {o->tokenizer, o->init_from, o->model};
    *codec = (struct generate_codec){.vocabulary = vocabulary};
    bool needed = !o->prompt_tokens || o->tokenizer; /* numbers go in and come out without */
    weir_status status = needed ? codec_open(&codec->text, &choice, vocabulary, arena) : WEIR_OK;
    codec->numbers = !codec->text.name && !codec->text.chosen && vocabulary != BYTE_VOCABULARY;
    return status;
}

/* ---- ends ---------------------------------------------------------------------------------------------------------- */

/* Of the model's ids: a token that it does not have ends nothing. */
static weir_status stops_keep(struct generate_codec *codec, const int32_t *ids, int n, struct weir_arena *arena)
{
    int32_t *kept;
    weir_status status = weir_arena_alloc(arena, (size_t)n + 1, sizeof *kept, &kept);
    for (int i = 0; i < n && !status; i++)
        if (ids[i] < codec->vocabulary)
            kept[codec->n_stops++] = ids[i];
    codec->stops = kept;
    return status;
}

weir_status generate_stops_find(struct generate_codec *codec, const struct generate_options *o, struct weir_arena *arena)
{
    const struct codec_choice choice = {o->tokenizer, o->init_from, o->model};
    const char *folder;
    const int32_t *ids;
    int32_t end = codec_end(&codec->text);
    int n = 0;
    if (o->ignore_eos)
        return WEIR_OK;
    weir_status status = codec_model_folder(&choice, arena, &folder);
    if (!status && folder)
        status = weir_tokens_stop(folder, arena, &ids, &n);
    if (!status && n)
        status = stops_keep(codec, ids, n, arena);
    if (!status && !codec->n_stops && end >= 0)
        status = stops_keep(codec, &end, 1, arena);
    return status;
}

bool generate_stops_at(const struct generate_codec *codec, int32_t token)
{
    for (int i = 0; i < codec->n_stops; i++)
        if (codec->stops[i] == token)
            return true;
    return false;
}

/* ---- prompts ------------------------------------------------------------------------------------------------------- */

/* "1,2,3" */
static weir_status numbers_read(const char *text, int64_t vocabulary, struct weir_arena *arena, int32_t **tokens_out,
                                int64_t *n_out)
{
    int32_t *tokens;
    int64_t n = 0;
    weir_status status = weir_arena_alloc(arena, strlen(text) + 1, sizeof *tokens, &tokens);
    for (const char *at = text; !status; at++) {
        size_t size = strcspn(at, ",");
        char number[24] = "";
        int64_t value = -1;
        if (size < sizeof number)
            memcpy(number, at, size);
        if (!weir_parse_int64(number, &value) || value < 0 || value >= vocabulary)
            return WEIR_FAIL(WEIR_ERR_USAGE, "--prompt-tokens: '%.*s' is not a token from 0 to %lld", (int)size, at,
                             (long long)vocabulary - 1);
        tokens[n++] = (int32_t)value;
        at += size;
        if (!*at)
            break;
    }
    *tokens_out = tokens;
    *n_out = n;
    return status;
}

weir_status codec_prompt(const struct generate_codec *codec, const struct generate_options *o, struct weir_arena *arena,
                         int32_t **tokens_out, int64_t *n_out)
{
    weir_status status;
    if (!o->prompt == !o->prompt_tokens)
        return WEIR_FAIL(WEIR_ERR_USAGE, "give a --prompt, or --prompt-tokens as numbers");
    if (o->prompt_tokens)
        status = numbers_read(o->prompt_tokens, codec->vocabulary, arena, tokens_out, n_out);
    else if (!codec->numbers)
        status = codec_encode(&codec->text, o->prompt, strlen(o->prompt), arena, tokens_out, n_out);
    else
        status = WEIR_FAIL(WEIR_ERR_USAGE,
                           "%s%sno tokenizer for a vocabulary of %lld (tokenizer.json, vocab.json and merges.txt were looked for): "
                           "give --tokenizer DIR, --tokenizer bytes, or --prompt-tokens",
                           o->init_from ? o->init_from : "", o->init_from ? ": " : "", (long long)codec->vocabulary);
    if (!status && !*n_out)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "the prompt is empty: it needs at least one token");
    return status;
}

/* ---- output -------------------------------------------------------------------------------------------------------- */

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* The head of what is pending: a character, or a byte that is none. */
static bool pending_flush(struct token_text *t, struct weir_text *out)
{
    uint32_t code;
    int n = t->n_pending ? weir_utf8_read((const unsigned char *)t->pending, t->n_pending, &code) : -1;
    if (n < 0)
        return false;
    if (n)
        weir_text_append(out, "%.*s", n, t->pending);
    else
        weir_text_append(out, "%s", replacement);
    size_t used = n ? (size_t)n : 1;
    t->n_pending -= used;
    memmove(t->pending, t->pending + used, t->n_pending);
    return true;
}

static void bytes_add(struct token_text *t, const char *bytes, size_t n, struct weir_text *out)
{
    for (size_t i = 0; i < n; i++) {
        t->pending[t->n_pending++] = bytes[i] ? bytes[i] : ' '; /* a terminal shows nothing for a zero byte */
        while (pending_flush(t, out))
            continue;
    }
}

void token_text_add(struct token_text *t, int32_t token, struct weir_text *out)
{
    char byte = (char)token;
    size_t n = 1;
    const char *bytes = &byte;
    if (t->numbers || t->codec->numbers) {
        weir_text_append(out, "%s%d", t->n_tokens++ ? "," : "", token);
        return;
    }
    if (t->codec->text.tokenizer)
        bytes = weir_tokenizer_token(t->codec->text.tokenizer, token, &n);
    else if (token >= BYTE_VOCABULARY)
        bytes = NULL;
    bytes_add(t, bytes ? bytes : replacement, bytes ? n : strlen(replacement), out);
}

void token_text_end(struct token_text *t, struct weir_text *out)
{
    if (t->n_pending)
        weir_text_append(out, "%s", replacement);
    t->n_pending = 0;
}
