/* Cuts as people write them: numbers of layers and layouts.
 * labels: pure */
#include "tests/support/testing.h"

#include <string.h>

#include "base/text.h"
#include "include/weir/plan.h"
#include "include/weir/graph.h"
#include "models/model_kinds.h"

static struct weir_arena arena;
static const struct weir_graph *tiny; /* 14 layers: embed, 6 blocks, head */

static int setup(void **state)
{
    (void)state;
    const struct weir_model_params params = {.microbatch_size = 1};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &params, &arena, &tiny));
    assert_int_equal(tiny->n_layers, 14);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir_arena_release(&arena);
    return 0;
}

static void equals(const struct weir_layer_cut *cut, const char *numbers)
{
    struct weir_text text = {0};
    assert_ok(weir_layer_cut_print(cut, weir_text_take, &text));
    assert_ok(text.status);
    assert_string_equal(text.data, numbers);
    assert_int_equal(cut->first_layer[cut->n_stages], tiny->n_layers);
    weir_text_release(&text);
}

static void numbers_are_the_first_layers_of_the_stages(void **state)
{
    (void)state;
    static const char *const rows[] = {"0", "0,5,9,13", "0,1,2,3,4,5,6,7,8,9,10,11,12,13"};
    struct weir_layer_cut cut;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_ok(weir_layer_cut_numbers(rows[i], tiny, &arena, &cut));
        equals(&cut, rows[i]);
    }
}

static void numbers_that_cut_nothing_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {{"1,5", "the first stage begins with layer 1, it must be 0"},
                {"0,5,5", "stage 1 begins with layer 5 and stage 2 with layer 5: stage 1 would be empty"},
                {"0,5,4", "stage 1 would be empty"},
                {"0,14", "stage 1 begins with layer 14, model 'gpt2-tiny' has layers 0 to 13"},
                {"", "'' is not the number of a layer"},
                {"0,", "'' is not the number of a layer"},
                {"0,,5", "'' is not the number of a layer"},
                {"0,-1", "'-1' is not"},
                {"0,+1", "'+1' is not"},
                {"0, 5", "' 5' is not"},
                {"0,5x", "'5x' is not"},
                {"0,99999999999999999999", "'99999999999999999999' is not"},
                {"0,4294967297", "'4294967297' is not"}};
    struct weir_layer_cut cut;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_fails(weir_layer_cut_numbers(rows[i].text, tiny, &arena, &cut), WEIR_ERR_USAGE, rows[i].words);
}

static void a_layout_has_letters_groups_and_repetitions(void **state)
{
    (void)state;
    static const struct {
        const char *layout, *numbers;
    } rows[] = {{"EttttttL", "0"},
                {"Et*6L", "0"},
                {"E|t*6|L", "0,1,13"},
                {"Et*2|(t|)*3,tL", "0,5,7,9,11"},
                {"Ett|(tt|)*2L", "0,5,9,13"},
                {"E((t|)*2)*2 t*2 L", "0,3,5,7,9"},
                {"Et*1()*7t*5L", "0"},
                {"E(t|)*5tL", "0,3,5,7,9,11"},
                {"Et|(t|)*1(t|)*1(t|)*1(t|)*1(t)*1L", "0,3,5,7,9,11"}};
    struct weir_layer_cut cut;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_ok(weir_layer_cut_layout(rows[i].layout, tiny, &arena, &cut));
        equals(&cut, rows[i].numbers);
    }
}

static void a_layout_that_is_none_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {{"", "must begin with E"},
                {"t*6L", "must begin with E"},
                {"EEt*6L", "must begin with E, the embedding, and have no other"},
                {"Et*6", "must end with L"},
                {"Et*3Lt*3L", "have no other"},
                {"Et*6L|", "must end with L"},
                {"|Et*6L", "must begin with E"},
                {"Ett||t*4L", "stage 1 is empty"},
                {"Et*3|t*3||L", "stage 2 is empty"},
                {"Et|*2t*5L", "stage 1 is empty"},
                {"Et*5L", "has 5 blocks (t), model 'gpt2-tiny' has 6"},
                {"EtL", "has 1 block (t), model"},
                {"Et*6,m|L", "character 6: 'm' is a layer of multi-token prediction, which no model here has"},
                {"Et*6xL", "character 5: only E, t, L, |, *n and groups"},
                {"E(t*6L", "a '(' is not closed"},
                {"Et*6)L", "a ')' that closes nothing"},
                {"Et*L", "'*' needs a number of at least 1"},
                {"Et*0L", "'*' needs a number of at least 1"},
                {"E*t", "'*' needs a number"},
                {"*6", "only E, t, L"},
                {"Et*2*3L", "only E, t, L"},
                {"Et*999999999999999999999L", "more letters than any model has layers"},
                {"E((((t*1000)*1000)*1000)*1000)*1000L", "more letters than any model has layers"},
                {"((((((((((((((((((((((((((((((((((((", "groups within groups"}};
    struct weir_layer_cut cut;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_fails(weir_layer_cut_layout(rows[i].text, tiny, &arena, &cut), WEIR_ERR_USAGE, rows[i].words);
}

static void a_cut_between_blocks_is_printed_as_a_layout(void **state)
{
    (void)state;
    static const struct {
        const char *numbers, *layout;
    } rows[] = {{"0", "Et*6L"}, {"0,1,13", "E|t*6|L"}, {"0,3,7", "Et|t*2|t*3L"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_layer_cut cut;
        struct weir_text text = {0};
        assert_ok(weir_layer_cut_numbers(rows[i].numbers, tiny, &arena, &cut));
        assert_ok(weir_layer_cut_layout_print(&cut, tiny, weir_text_take, &text));
        assert_string_equal(text.data, rows[i].layout);
        weir_text_release(&text);
    }
}

static void a_cut_inside_a_block_has_no_layout_and_is_named(void **state)
{
    (void)state;
    struct weir_layer_cut cut;
    struct weir_text text = {0};
    assert_ok(weir_layer_cut_numbers("0,3,8", tiny, &arena, &cut));
    assert_fails(weir_layer_cut_layout_print(&cut, tiny, weir_text_take, &text), WEIR_ERR_UNSUPPORTED,
                 "stage 2 begins inside a block, with layer 8 ('h.3.mlp')");
    weir_text_release(&text);
}

static void a_model_without_blocks_has_no_layout(void **state)
{
    (void)state;
    const struct weir_model_params params = {.microbatch_size = 1, .n_inputs = 4, .n_classes = 2};
    const struct weir_graph *mlp;
    struct weir_layer_cut cut;
    assert_ok(weir_model_build(&weir_model_mlp, &params, &arena, &mlp));
    assert_fails(weir_layer_cut_layout("EtL", mlp, &arena, &cut), WEIR_ERR_UNSUPPORTED, "use first_layers");
    assert_ok(weir_layer_cut_numbers("0,4", mlp, &arena, &cut));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_the_first_layers_of_the_stages),
        cmocka_unit_test(numbers_that_cut_nothing_are_refused_by_name),
        cmocka_unit_test(a_layout_has_letters_groups_and_repetitions),
        cmocka_unit_test(a_layout_that_is_none_is_refused_by_name),
        cmocka_unit_test(a_cut_between_blocks_is_printed_as_a_layout),
        cmocka_unit_test(a_cut_inside_a_block_has_no_layout_and_is_named),
        cmocka_unit_test(a_model_without_blocks_has_no_layout),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
