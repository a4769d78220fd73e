/* Sampling: the most likely token, the top k, and frequencies that follow the softmax.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "include/weir/generate.h"

enum { WORDS = 7, DRAWS = 20000 };

static const float logits[WORDS] = {0.5f, 2.0f, -1.0f, 2.0f, 1.0f, -30.0f, 1.0f};

static int32_t draw(double temperature, int64_t top_k, uint64_t seed, uint32_t sample, int64_t position)
{
    struct weir_sampling s = {temperature, top_k, seed};
    float work[WORDS];
    int32_t token = -1;
    assert_ok(weir_token_sample(&s, logits, WORDS, sample, position, work, &token));
    assert_true(token >= 0 && token < WORDS);
    return token;
}

static void temperature_zero_takes_the_first_of_the_largest(void **state)
{
    (void)state;
    for (int64_t p = 0; p < 100; p++)
        assert_int_equal(draw(0, 3, 5, 0, p), 1);
}

/* Standard deviation of a frequency is at most 0.0036; the bound is six of them. */
static void frequencies_follow(double temperature, int64_t top_k, const bool *among)
{
    int counts[WORDS] = {0};
    double total = 0;
    for (int i = 0; i < WORDS; i++)
        total += among[i] ? exp((double)logits[i] / temperature) : 0;
    for (int p = 0; p < DRAWS; p++)
        counts[draw(temperature, top_k, 9, (uint32_t)(p % 3), p / 3)]++;
    for (int i = 0; i < WORDS; i++) {
        double wanted = among[i] ? exp((double)logits[i] / temperature) / total : 0;
        if (!(fabs(counts[i] / (double)DRAWS - wanted) < 0.0216) || (!among[i] && counts[i]))
            fail_msg("temperature %g, top %d: token %d drawn %d times of %d, probability %g", temperature, (int)top_k, i,
                     counts[i], DRAWS, wanted);
    }
}

static void draws_follow_the_softmax(void **state)
{
    (void)state;
    static const bool all[WORDS] = {true, true, true, true, true, true, true};
    frequencies_follow(1, 0, all);
    frequencies_follow(1, WORDS + 5, all);
    frequencies_follow(0.5, 0, all);
    frequencies_follow(3, WORDS, all);
}

static void top_k_keeps_the_first_of_equals(void **state)
{
    (void)state;
    frequencies_follow(1, 1, (bool[WORDS]){[1] = true});
    frequencies_follow(1, 2, (bool[WORDS]){[1] = true, [3] = true});
    frequencies_follow(2, 3, (bool[WORDS]){[1] = true, [3] = true, [4] = true});
    frequencies_follow(2, 5, (bool[WORDS]){[0] = true, [1] = true, [3] = true, [4] = true, [6] = true});
}

static void a_draw_depends_on_seed_sample_and_position(void **state)
{
    (void)state;
    int seeds = 0, samples = 0, positions = 0;
    for (int p = 0; p < 200; p++) {
        int32_t token = draw(2, 0, 1, 0, p);
        assert_int_equal(token, draw(2, 0, 1, 0, p));
        seeds += token != draw(2, 0, 2, 0, p);
        samples += token != draw(2, 0, 1, 1, p);
        positions += token != draw(2, 0, 1, 0, p + 1000);
    }
    assert_true(seeds > 50 && samples > 50 && positions > 50);
}

static void a_cold_draw_is_the_most_likely(void **state)
{
    (void)state;
    for (int p = 0; p < 100; p++) {
        int32_t token = draw(1e-3, 0, 4, 0, p);
        assert_true(token == 1 || token == 3);
    }
}

static void what_cannot_be_sampled_is_refused(void **state)
{
    (void)state;
    struct weir_sampling s = {.temperature = -1};
    float work[WORDS], bad[WORDS];
    int32_t token = -7;
    assert_fails(weir_token_sample(&s, logits, WORDS, 0, 0, work, &token), WEIR_ERR_USAGE, "temperature is -1");
    s.temperature = (double)NAN;
    assert_fails(weir_token_sample(&s, logits, WORDS, 0, 0, work, &token), WEIR_ERR_USAGE, "temperature");
    s = (struct weir_sampling){.top_k = -2};
    assert_fails(weir_token_sample(&s, logits, WORDS, 0, 0, work, &token), WEIR_ERR_USAGE, "top k is -2");
    s.top_k = 0;
    assert_fails(weir_token_sample(&s, logits, 0, 0, 0, work, &token), WEIR_ERR_USAGE, "there are 0 logits");
    memcpy(bad, logits, sizeof bad);
    bad[3] = NAN;
    assert_fails(weir_token_sample(&s, bad, WORDS, 0, 0, work, &token), WEIR_ERR_NUMERIC, "token 3");
    assert_int_equal(token, -7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(temperature_zero_takes_the_first_of_the_largest),
        cmocka_unit_test(draws_follow_the_softmax),
        cmocka_unit_test(top_k_keeps_the_first_of_equals),
        cmocka_unit_test(a_draw_depends_on_seed_sample_and_position),
        cmocka_unit_test(a_cold_draw_is_the_most_likely),
        cmocka_unit_test(what_cannot_be_sampled_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
