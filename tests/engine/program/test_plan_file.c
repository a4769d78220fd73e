/* Plan files: read as they were written, and refused when a stranger wrote them.
 * labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/program/plan_file.h"
#include "include/weir/graph.h"
#include "models/model_kinds.h"

static const char plan_text[] =
    "{\"format\": \"weir-plan\", \"version\": 1, \"model\": \"gpt2-tiny\", \"model_hash\": \"0123456789abcdef\", "
    "\"layers\": 14, \"parameters\": 7, \"device\": \"cpu\", \"library\": \"0.1.0\", \"first_layers\": [0, 5, 8, 9], "
    "\"schedule\": \"zbv\", \"chunks\": 2, \"replicas\": 3, \"zero\": 1, \"microbatches\": 6, \"microbatch_size\": 2, "
    "\"seq_len\": 8, \"dtype\": \"f32\", \"optimizer\": \"sgd\", \"recompute\": \"h.*\", \"predicted\": {\"step\": 1}}";

static void a_plan_reads_back_as_it_was_written(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_text text = {0};
    struct weir_plan_file a, b;
    assert_ok(weir_plan_file_parse(plan_text, strlen(plan_text), "p", &arena, &a));
    assert_null(a.rank_ms);
    assert_ok(weir_plan_file_write(&a, "{\"step_ms\": 1.5, \"rank_ms\": [3, 0.25]}", &text));
    assert_non_null(strstr(text.data, "\"step_ms\": 1.5"));
    assert_ok(weir_plan_file_parse(text.data, text.length, "p", &arena, &b));
    assert_int_equal(b.cut.n_stages, 4);
    assert_memory_equal(a.cut.first_layer, b.cut.first_layer, 5 * sizeof(int));
    assert_int_equal(b.cut.first_layer[4], 14);
    assert_string_equal(b.model, "gpt2-tiny");
    assert_string_equal(b.model_hash, "0123456789abcdef");
    assert_string_equal(b.device, "cpu");
    assert_string_equal(b.library, "0.1.0");
    assert_string_equal(b.schedule, "zbv");
    assert_string_equal(b.dtype, "f32");
    assert_string_equal(b.optimizer, "sgd");
    assert_string_equal(b.recompute, "h.*");
    const int64_t wanted[] = {7, 2, 3, 1, 6, 2, 8};
    const int64_t found[] = {b.n_parameters, b.n_chunks, b.n_replicas, b.zero, b.n_microbatches, b.microbatch_size, b.seq_len};
    assert_memory_equal(found, wanted, sizeof wanted);
    assert_true(b.rank_ms[0] == 3 && b.rank_ms[1] == 0.25);
    weir_text_release(&text);
    weir_arena_release(&arena);
}

/* The plan with `from` replaced by `to`. */
static char *changed(const char *from, const char *to)
{
    static char text[2048];
    const char *at = strstr(plan_text, from);
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - plan_text), plan_text, to, at + strlen(from));
    return text;
}

static void a_plan_with_something_wrong_is_refused_and_the_thing_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *words;
    } rows[] = {{"weir-plan", "other", "its 'format' is not \"weir-plan\""},
                {"\"version\": 1", "\"version\": 2", "plan 'p' has version 2, this library reads version 1"},
                {"\"version\": 1", "\"version\": \"1\"", "'version'"},
                {"\"zero\"", "\"zeros\"", "zeros"},
                {"\"zero\": 1", "\"zero\": 2", "'zero' is 2, it must be from 0 to 1"},
                {"\"chunks\": 2", "\"chunks\": 3", "4 stages do not divide into 'chunks' of 3 per rank"},
                {"\"chunks\": 2", "\"chunks\": 0", "'chunks' is 0"},
                {"\"chunks\": 2", "\"chunks\": 1e3", "'chunks'"},
                {"\"microbatches\": 6", "\"microbatches\": 9000000000000000000", "'microbatches' is 9000000000000000000"},
                {"\"microbatches\": 6, ", "", "'microbatches'"},
                {"[0, 5, 8, 9]", "[]", "'first_layers' must be an array"},
                {"[0, 5, 8, 9]", "7", "'first_layers' must be an array"},
                {"[0, 5, 8, 9]", "[1, 5]", "must ascend from 0 to at most 13, entry 0 does not"},
                {"[0, 5, 8, 9]", "[0, 5, 5]", "entry 2 does not"},
                {"[0, 5, 8, 9]", "[0, 5, 14]", "entry 2 does not"},
                {"[0, 5, 8, 9]", "[0, \"5\"]", "entry 1 does not"},
                {"[0, 5, 8, 9]", "[0, 4294967301]", "entry 1 does not"},
                {"\"layers\": 14", "\"layers\": 0", "'layers' is 0"},
                {"\"dtype\": \"f32\"", "\"dtype\": 32", "'dtype' must be a text"},
                {"\"gpt2-tiny\"", "\"\"", "'model' must be a text"},
                {"\"gpt2-tiny\"", "\"a\\u0000b\"", "NUL"},
                {"\"step\": 1", "\"rank_ms\": 1", "'rank_ms' must be an array of 2 numbers"},
                {"\"step\": 1", "\"rank_ms\": [1, 2, 3]", "'rank_ms' must be an array of 2 numbers"},
                {"\"step\": 1", "\"rank_ms\": [1, -2]", "entry 1 of 'rank_ms' is no time"},
                {"\"step\": 1", "\"rank_ms\": [\"1\", 2]", "entry 0 of 'rank_ms' is no time"},
                {"}}", "}} x", "'p' line 1"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_arena arena = {0};
        struct weir_plan_file plan;
        const char *text = changed(rows[i].from, rows[i].to);
        weir_status status = weir_plan_file_parse(text, strlen(text), "p", &arena, &plan);
        if (strcmp(rows[i].words, "NUL") != 0)
            assert_fails(status, WEIR_ERR_INVALID, rows[i].words);
        else
            assert_int_equal(status, WEIR_ERR_INVALID);
        weir_arena_release(&arena);
    }
    struct weir_arena arena = {0};
    struct weir_plan_file plan;
    assert_fails(weir_plan_file_parse("[1]", 3, "p", &arena, &plan), WEIR_ERR_INVALID, "p");
    assert_fails(weir_plan_file_parse("", 0, "p", &arena, &plan), WEIR_ERR_INVALID, "p");
    assert_fails(weir_plan_file_load("/nowhere/plan.json", &arena, &plan), WEIR_ERR_IO, "/nowhere/plan.json");
    weir_arena_release(&arena);
}

static const char order_text[] =
    "{\"format\": \"weir-plan\", \"version\": 1, \"model\": \"gpt2-tiny\", \"model_hash\": \"0123456789abcdef\", "
    "\"layers\": 14, \"parameters\": 7, \"device\": \"cpu\", \"library\": \"0.1.0\", \"first_layers\": [0, 5], "
    "\"schedule\": \"auto\", \"chunks\": 1, \"replicas\": 1, \"zero\": 0, \"microbatches\": 2, \"microbatch_size\": 2, "
    "\"dtype\": \"f32\", \"optimizer\": \"sgd\", \"recompute\": \"none\", \"order\": [%s]}";
#define ORDER "\"0F0,0F1,0I0,0W0,0B1\", \"1F0,1B0,1F1,1I1,1W1\""

static void the_order_of_auto_is_kept_and_held_to_the_plan(void **state)
{
    (void)state;
    static const struct {
        const char *rows, *words;
    } wrong[] = {{"", "'order' must be an array of texts, one for each rank"},
                 {"1, 2", "row 1 of 'order' must be a text of one line, the actions of rank 0"},
                 {"\"0F0,0F1,0B0,0B1\", \"1F0\\n1B0\"", "row 2 of 'order' must be a text"},
                 {"\"0F0,0B0\", \"1F0,1B0\"", "'order' has 2 ranks, 2 stages and 1 micro-batches, the plan 2, 2 and 2"},
                 {"\"0F0,0F1,0B0,0B1\"", "'order' has 1 ranks, 1 stages and 2 micro-batches"},
                 {"\"0F0,0X1\", \"1F0,1B0\"", "'p, order': row 1, cell 2: '0X1'"}};
    struct weir_arena arena = {0};
    struct weir_text text = {0};
    struct weir_plan_file a, b;
    char plan[2048];
    snprintf(plan, sizeof plan, order_text, ORDER);
    assert_ok(weir_plan_file_parse(plan, strlen(plan), "p", &arena, &a));
    assert_int_equal(a.order->ranks[0].n_actions, 5);
    assert_ok(weir_plan_file_write(&a, NULL, &text));
    assert_ok(weir_plan_file_parse(text.data, text.length, "p", &arena, &b));
    for (int r = 0; r < 2; r++)
        assert_memory_equal(a.order->ranks[r].actions, b.order->ranks[r].actions, 5 * sizeof(struct weir_action));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(plan, sizeof plan, order_text, wrong[i].rows);
        assert_fails(weir_plan_file_parse(plan, strlen(plan), "p", &arena, &b), WEIR_ERR_INVALID, wrong[i].words);
    }
    snprintf(plan, sizeof plan, order_text, ORDER);
    memcpy(strstr(plan, "order"), "other", 5);
    assert_fails(weir_plan_file_parse(plan, strlen(plan), "p", &arena, &b), WEIR_ERR_INVALID, "other");
    *strstr(plan, ", \"other") = '}';
    *(strchr(plan, '}') + 1) = 0;
    assert_fails(weir_plan_file_parse(plan, strlen(plan), "p", &arena, &b), WEIR_ERR_INVALID, "\"auto\" needs the 'order'");
    snprintf(plan, sizeof plan, order_text, ORDER);
    memcpy(strstr(plan, "auto"), "1f1b", 4);
    assert_fails(weir_plan_file_parse(plan, strlen(plan), "p", &arena, &b), WEIR_ERR_INVALID, "'order' is for the schedule \"auto\", not for \"1f1b\"");
    weir_text_release(&text);
    weir_arena_release(&arena);
}

static void a_model_is_known_by_layers_and_parameters_not_by_its_batch(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *small, *large, *other;
    const struct weir_model_params one = {.microbatch_size = 1}, nine = {.microbatch_size = 9};
    struct weir_plan_file plan;
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &one, &arena, &small));
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &nine, &arena, &large));
    assert_ok(weir_model_build(&weir_model_llama_tiny, &one, &arena, &other));
    assert_ok(weir_plan_file_parse(plan_text, strlen(plan_text), "p", &arena, &plan));
    assert_fails(weir_plan_file_check(&plan, small), WEIR_ERR_INVALID, "plan 'p' was made for model 'gpt2-tiny' with 14 layers and 7");
    assert_ok(weir_plan_file_hash(large, &arena, &plan.model_hash));
    assert_ok(weir_plan_file_check(&plan, small));
    assert_fails(weir_plan_file_check(&plan, other), WEIR_ERR_INVALID, "model 'llama-tiny' has 10 layers");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_reads_back_as_it_was_written),
        cmocka_unit_test(a_plan_with_something_wrong_is_refused_and_the_thing_is_named),
        cmocka_unit_test(the_order_of_auto_is_kept_and_held_to_the_plan),
        cmocka_unit_test(a_model_is_known_by_layers_and_parameters_not_by_its_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
