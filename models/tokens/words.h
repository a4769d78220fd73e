/* Words: what a tokenizer cuts text into before it merges pairs; no token reaches over the end of a word.
 *
 *     "We're 1984 here"     gpt-2:  We  're  ␣1984  ␣here
 *                           llama-3: We  're  ␣  198  4  ␣here
 *
 * The rules are regular expressions that the models' authors published.  weir_words_of() knows their texts. */
#ifndef WEIR_MODELS_TOKENS_WORDS_H
#define WEIR_MODELS_TOKENS_WORDS_H

#include <stdbool.h>
#include <stddef.h>

enum weir_words { WEIR_WORDS_GPT2, WEIR_WORDS_LLAMA3, WEIR_WORDS_QWEN2 };

/* The rule that a regular expression stands for; false: it is none of them. */
bool weir_words_of(const char *expression, enum weir_words *words_out);

/* Bytes of the first word of text[0..bytes), bytes >= 1.  A byte that is no part of a character counts as a character
 * that is neither letter, number nor space. */
size_t weir_word_bytes(enum weir_words words, const char *text, size_t bytes);

#endif
