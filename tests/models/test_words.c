/* Words of the patterns, merges against the plain rule, and form C.   labels: pure */
#include "tests/support/testing.h"

#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "models/tokens/merges.h"
#include "models/tokens/nfc.h"
#include "models/tokens/words.h"

/* ---- words --------------------------------------------------------------------------------------------------------- */

static void words_are(enum weir_words words, const char *text, const char *wanted)
{
    char found[160] = "";
    for (const char *at = text; *at;) {
        size_t n = weir_word_bytes(words, at, strlen(at));
        assert_true(n >= 1 && n <= strlen(at));
        strncat(found, at, n);
        strcat(found, "|");
        at += n;
    }
    assert_string_equal(found, wanted);
}

static void words_are_those_of_llama3_and_qwen2(void **state)
{
    (void)state;
    static const struct {
        const char *text, *llama3, *qwen2; /* NULL: the same */
    } cases[] = {
        {"We'RE there", "We|'RE| there|", NULL},
        {"don'\xc5\xbf 'Sx", "don|'\xc5\xbf| '|Sx|", NULL},
        {"in 1984 and42 123456", "in| |198|4| and|42| |123|456|", "in| |1|9|8|4| and|4|2| |1|2|3|4|5|6|"},
        {"a  b", "a| | b|", NULL},
        {"a \n b\n\n  c", "a| \n| b|\n\n| | c|", NULL},
        {"x!?...\r\n y", "x|!?...\r\n| y|", NULL},
        {"  \tabc", "  |\tabc|", NULL},
        {"end   ", "end|   |", NULL},
        {"\xc2\xa0word", "\xc2\xa0word|", NULL},
        {"'s 't 'LL'vE", "'s| '|t| '|LL|'vE|", NULL},
        {"\xe4\xb8\xad\xe6\x96\x87\xd9\xa3\xd9\xa4!!", "\xe4\xb8\xad\xe6\x96\x87|\xd9\xa3\xd9\xa4|!!|",
         "\xe4\xb8\xad\xe6\x96\x87|\xd9\xa3|\xd9\xa4|!!|"},
        {"a\n\n\n", "a|\n\n\n|", NULL},
        {"\n \n x", "\n \n| x|", NULL},
        {"_a__b", "_a|__|b|", NULL},
        {"\xff\xfe" "a\xc3", "\xff\xfe|a|\xc3|", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        words_are(WEIR_WORDS_LLAMA3, cases[i].text, cases[i].llama3);
        words_are(WEIR_WORDS_QWEN2, cases[i].text, cases[i].qwen2 ? cases[i].qwen2 : cases[i].llama3);
    }
}

static void other_patterns_are_none_of_these(void **state)
{
    (void)state;
    enum weir_words words;
    assert_false(weir_words_of("\\w+", &words));
    assert_false(weir_words_of("", &words));
    assert_true(weir_words_of("'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", &words));
    assert_int_equal(words, WEIR_WORDS_GPT2);
}

/* ---- merges -------------------------------------------------------------------------------------------------------- */

/* The rule as it is told: look at all pairs, merge the leftmost of the lowest rank, again. */
static size_t merged_plainly(const struct weir_merges *merges, int32_t *tokens, size_t n)
{
    for (;;) {
        size_t best = n;
        int32_t least = INT32_MAX;
        for (size_t i = 0; i + 1 < n; i++) {
            int32_t rank = weir_merges_rank(merges, tokens[i], tokens[i + 1]);
            if (rank != WEIR_NO_RANK && rank < least) {
                least = rank;
                best = i;
            }
        }
        if (best == n)
            return n;
        tokens[best] = merges->results[least];
        memmove(&tokens[best + 1], &tokens[best + 2], (n - best - 2) * sizeof *tokens);
        n--;
    }
}

static void words_are_merged_by_the_plain_rule(void **state)
{
    (void)state;
    enum { LETTERS = 3, MERGES = 60, MOST = 90 };
    struct weir_arena arena = {0};
    struct weir_merger merger = {0};
    for (uint32_t round = 0; round < 200; round++) {
        struct weir_merges merges;
        int32_t tokens[MOST], plain[MOST];
        assert_ok(weir_merges_init(&merges, MERGES, &arena));
        for (uint32_t i = 0; i < MERGES; i++) {
            struct weir_rng_block b = weir_rng_philox(3, i, round, 0, 0);
            uint32_t known = LETTERS + (uint32_t)merges.n_merges;
            weir_merges_add(&merges, (int32_t)(b.v[0] % known), (int32_t)(b.v[1] % known), (int32_t)known);
        }
        for (uint32_t word = 0; word < 20; word++) {
            size_t n = 1 + weir_rng_philox(4, word, round, 0, 0).v[0] % MOST, n_plain = n;
            for (size_t i = 0; i < n; i++)
                tokens[i] = plain[i] = (int32_t)(weir_rng_philox(5, (uint32_t)i, word, round, 0).v[0] % LETTERS);
            assert_ok(weir_merger_run(&merger, &merges, tokens, &n));
            n_plain = merged_plainly(&merges, plain, n_plain);
            assert_int_equal(n, n_plain);
            assert_memory_equal(tokens, plain, n * sizeof *tokens);
        }
        weir_arena_release(&arena);
    }
    weir_merger_release(&merger);
}

/* ---- form C -------------------------------------------------------------------------------------------------------- */

static void characters_get_form_c(void **state)
{
    (void)state;
    static const struct {
        const char *text, *form;
    } cases[] = {
        {"plain", "plain"},
        {"e\xcc\x81", "\xc3\xa9"},                                                     /* e, acute */
        {"s\xcc\x87\xcc\xa3", "\xe1\xb9\xa9"},                                         /* marks in the other order */
        {"a\xcc\x95\xcc\x80", "\xc3\xa0\xcc\x95"},                                     /* a mark of another class between */
        {"\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81"},                      /* Hangul */
        {"\xe2\x84\xab", "\xc3\x85"},                                                  /* the sign of angstrom */
        {"\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc"},                                  /* stays apart */
        {"\xcc\x81" "e", "\xcc\x81" "e"},                                              /* a mark with nothing before it */
        {"e\xff\xcc\x81", "e\xff\xcc\x81"},                                            /* a byte that is no character between */
        {"\xea\xb0\x80\xe1\x86\xa7", "\xea\xb0\x80\xe1\x86\xa7"},                      /* not a final letter */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_byte_buffer out = {0};
        bool changed = strcmp(cases[i].text, cases[i].form) != 0;
        assert_ok(weir_nfc_append(cases[i].text, strlen(cases[i].text), &out));
        assert_int_equal(out.n, strlen(cases[i].form));
        assert_memory_equal(out.bytes, cases[i].form, out.n);
        assert_true(weir_nfc_needed(cases[i].text, strlen(cases[i].text)) || !changed);
        weir_free(out.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_those_of_llama3_and_qwen2),
        cmocka_unit_test(other_patterns_are_none_of_these),
        cmocka_unit_test(words_are_merged_by_the_plain_rule),
        cmocka_unit_test(characters_get_form_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
