/* where a text ends, by the files of a model's folder.   labels: pure */
#include "tests/support/testing.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/replace.h"
#include "include/weir/tokens.h"

static struct weir_arena arena;

static int arena_drop(void **state)
{
    (void)state;
    weir_arena_release(&arena);
    return 0;
}

/* A folder with these files; NULL: without. */
static const char *folder_make(const char *generation, const char *config)
{
    const char *folder = testing_path("model"), *path;
    mkdir(folder, 0777);
    path = testing_path("model/generation_config.json");
    unlink(path);
    if (generation)
        assert_ok(weir_file_write(path, generation, strlen(generation)));
    path = testing_path("model/config.json");
    unlink(path);
    if (config)
        assert_ok(weir_file_write(path, config, strlen(config)));
    return folder;
}

static void stops_are(const char *generation, const char *config, const int32_t *wanted, int n_wanted)
{
    const int32_t *ids;
    int n = -1;
    assert_ok(weir_tokens_stop(folder_make(generation, config), &arena, &ids, &n));
    assert_int_equal(n, n_wanted);
    for (int i = 0; i < n; i++)
        assert_int_equal(ids[i], wanted[i]);
}

static void generation_config_comes_first_and_config_second(void **state)
{
    (void)state;
    const int32_t two[] = {128001, 128009}, one[] = {2};
    stops_are(NULL, NULL, NULL, 0);
    stops_are("{}", "{}", NULL, 0);
    stops_are("{\"eos_token_id\": [128001, 128009]}", "{\"eos_token_id\": 2}", two, 2);
    stops_are("{\"eos_token_id\": null}", "{\"eos_token_id\": 2}", one, 1);
    stops_are(NULL, "{\"eos_token_id\": 2}", one, 1);
    stops_are("{\"eos_token_id\": []}", NULL, NULL, 0);
    int n = -1;
    const int32_t *ids;
    assert_ok(weir_tokens_stop(testing_path("nowhere"), &arena, &ids, &n));
    assert_int_equal(n, 0);
}

static void what_is_no_token_is_refused_by_file_and_key(void **state)
{
    (void)state;
    static const char *const values[] = {"{\"eos_token_id\": -1}", "{\"eos_token_id\": \"</s>\"}", "{\"eos_token_id\": [1, 2.5]}",
                                         "{\"eos_token_id\": 2147483648}", "{\"eos_token_id\": true}", "{\"eos_token_id\": {}}"};
    const int32_t *ids;
    int n;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_fails(weir_tokens_stop(folder_make(values[i], NULL), &arena, &ids, &n), WEIR_ERR_INVALID,
                     "generation_config.json: 'eos_token_id' is neither a token");
    assert_fails(weir_tokens_stop(folder_make("[]", NULL), &arena, &ids, &n), WEIR_ERR_INVALID, "is no JSON object");
    assert_fails(weir_tokens_stop(folder_make("{", NULL), &arena, &ids, &n), WEIR_ERR_INVALID, "generation_config.json' line 1");
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const char *folder = folder_make("{}", "{\"eos_token_id\": [1, 2, 3]}");
    weir_status status = WEIR_ERR_NOMEM;
    for (int budget = 0; status; budget++) {
        struct weir_arena own = {0};
        const int32_t *ids;
        int n;
        weir_alloc_set_budget(budget);
        status = weir_tokens_stop(folder, &own, &ids, &n);
        weir_alloc_set_budget(-1);
        assert_true(status == WEIR_OK || status == WEIR_ERR_NOMEM);
        weir_arena_release(&own);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(generation_config_comes_first_and_config_second, arena_drop),
        cmocka_unit_test_teardown(what_is_no_token_is_refused_by_file_and_key, arena_drop),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
