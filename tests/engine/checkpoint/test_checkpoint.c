/* Checkpoints as folders: what is written comes back, what is damaged is found, what lies is refused.   labels: pure */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/replace.h"
#include "base/text.h"
#include "include/weir/checkpoint.h"
#include "engine/checkpoint/part_file.h"
#include "tests/support/testing.h"

static const int64_t dims_a[] = {3, 5}, dims_b[] = {7};

static weir_status values_read(void *context, int64_t first, int64_t n, float *values_out)
{
    for (int64_t i = 0; i < n; i++)
        values_out[i] = (float)(first + i) + *(const float *)context;
    return WEIR_OK;
}

static float shifts[] = {0, 100, 200};

static const struct weir_checkpoint_source sources[] = {
    {"b", WEIR_CHECKPOINT_PARAMETER, 1, dims_b, values_read, &shifts[0]},
    {"a", WEIR_CHECKPOINT_PARAMETER, 2, dims_a, values_read, &shifts[1]},
    {"a", WEIR_CHECKPOINT_EXP_AVG, 2, dims_a, values_read, &shifts[2]},
};

static weir_status write_at(const char *dir, int64_t step, double val_loss)
{
    struct weir_checkpoint_info about = {.step = step, .sample = 40, .seconds = 2.5, .val_loss = val_loss, .has_seed = true,
                                         .seed = UINT64_MAX, .model = "toy", .optimizer = "adamw", .layout = "{\"stages\": 2}"};
    return weir_checkpoint_write(dir, &about, 3, sources, "bytes", 5);
}

static const char *folder_of(const char *dir, int64_t step)
{
    char leaf[256];
    snprintf(leaf, sizeof leaf, "%s/step-%06" PRId64, dir, step);
    static char texts[4][256];
    static int at;
    at = (at + 1) % 4;
    memcpy(texts[at], leaf, sizeof leaf);
    return texts[at];
}

static weir_status whole_check(const char *folder)
{
    weir_checkpoint *c = NULL;
    weir_status status = weir_checkpoint_open(folder, &c);
    if (!status)
        status = weir_checkpoint_verify(c);
    weir_checkpoint_close(c);
    return status;
}

static void what_was_written_comes_back(void **state)
{
    (void)state;
    const char *dir = testing_path("back");
    weir_checkpoint *c;
    void *extra;
    size_t bytes;
    float values[15];
    assert_ok(write_at(dir, 12, 0.75));
    assert_ok(weir_checkpoint_newest(dir, NULL, NULL, &c));
    const struct weir_checkpoint_info *info = weir_checkpoint_info(c);
    assert_int_equal(info->step, 12);
    assert_int_equal(info->sample, 40);
    assert_true(info->seconds == 2.5 && info->val_loss == 0.75 && info->seed == UINT64_MAX && info->has_seed);
    assert_string_equal(info->layout, "{\"stages\":2}");
    assert_null(info->config);
    assert_null(info->hf_config);
    assert_int_equal(info->n_tensors, 3);
    assert_string_equal(info->tensors[0].name, "a"); /* sorted */
    assert_int_equal(weir_checkpoint_find(c, WEIR_CHECKPOINT_EXP_AVG, "a"), 2);
    assert_int_equal(weir_checkpoint_find(c, WEIR_CHECKPOINT_EXP_AVG, "b"), -1);
    assert_ok(weir_checkpoint_read(c, 2, 4, 9, values));
    for (int i = 0; i < 9; i++)
        assert_true(values[i] == 204.0f + (float)i);
    assert_fails(weir_checkpoint_read(c, 2, 7, 9, values), WEIR_ERR_INVALID, "has 15 elements, 9 from 7 on are more");
    assert_ok(weir_checkpoint_extra(c, &extra, &bytes));
    assert_int_equal(bytes, 5);
    assert_memory_equal(extra, "bytes", 5);
    weir_free(extra);
    weir_checkpoint_close(c);
    assert_fails(write_at(dir, 12, 0), WEIR_ERR_INVALID, "step-000012' is there already");
    assert_ok(whole_check(folder_of(dir, 12)));
}

/* ---- damage -------------------------------------------------------------------------------------------------------- */

static void byte_flip(const char *path, off_t at, int mask)
{
    unsigned char byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte = (unsigned char)(byte ^ mask);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void every_flipped_bit_is_found_before_anything_is_loaded(void **state)
{
    (void)state;
    static const char *const names[] = {"manifest.json", "part-00000.safetensors", "extra.bin"};
    const char *dir = testing_path("flips"), *folder = folder_of(dir, 1);
    int n = 0;
    assert_ok(write_at(dir, 1, NAN));
    for (int f = 0; f < 3; f++) {
        char path[512];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", folder, names[f]);
        assert_int_equal(stat(path, &info), 0);
        for (off_t at = 0; at < info.st_size; at++, n++) {
            int mask = 1 << (at * 5 % 8);
            byte_flip(path, at, mask);
            weir_status status = whole_check(folder);
            assert_true(status == WEIR_ERR_INVALID || status == WEIR_ERR_IO);
            byte_flip(path, at, mask);
        }
    }
    assert_true(n > 1000);
    assert_ok(whole_check(folder));
}

static void damage_names_file_and_tensor(void **state)
{
    (void)state;
    const char *dir = testing_path("damage"), *folder = folder_of(dir, 1);
    char path[512];
    struct stat info;
    assert_ok(write_at(dir, 1, NAN));
    snprintf(path, sizeof path, "%s/part-00000.safetensors", folder);
    assert_int_equal(stat(path, &info), 0);
    byte_flip(path, info.st_size - 1, 1); /* the last by name */
    assert_fails(whole_check(folder), WEIR_ERR_INVALID, "part-00000.safetensors': tensor 'exp_avg/a' is damaged");
    assert_int_equal(truncate(path, info.st_size - 1), 0);
    assert_fails(whole_check(folder), WEIR_ERR_INVALID, "part-00000.safetensors' has ");
    assert_int_equal(unlink(path), 0);
    assert_fails(whole_check(folder), WEIR_ERR_INVALID, "part-00000.safetensors' is missing: the manifest");
}

/* ---- manifests that have the right hash and lie ---------------------------------------------------------------------- */

static void manifest_replace(const char *folder, const char *from, const char *to)
{
    struct weir_text text = {0};
    char path[512], digits[17], *data, *found;
    size_t bytes;
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    assert_ok(weir_file_read(path, 1 << 20, &data, &bytes));
    found = strstr(data, from);
    assert_non_null(found);
    weir_text_append(&text, "%.*s%s%s", (int)(found - data), data, to, found + strlen(from));
    assert_ok(text.status);
    memset(text.data + 9, '0', 16);
    snprintf(digits, sizeof digits, "%016" PRIx64, weir_hash64(text.data, text.length, 0));
    memcpy(text.data + 9, digits, 16);
    assert_ok(weir_file_write(path, text.data, text.length));
    weir_text_release(&text);
    weir_free(data);
}

static void manifests_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *words;
    } rows[] = {
        {"\"weir_checkpoint\":1", "\"weir_checkpoint\":2", "is of format 2, this version of Weir reads format 1"},
        {"\"step\":1", "\"step\":-1", "'step' is -1"},
        {"\"name\":\"extra.bin\"", "\"name\":\"../extra\"", "leads elsewhere"},
        {"\"name\":\"extra.bin\"", "\"name\":\".extra\"", "leads elsewhere"},
        {"\"file\":0", "\"file\":7", "in a file that is not listed"},
        {"\"first\":0", "\"first\":1", "longer than it"},
        {"\"n\":15", "\"n\":14", "have no element 14"},
        {"\"pieces\":[", "\"pieces\":[{\"first\":4,\"n\":2,\"file\":0,\"tensor\":\"b\",\"xxh3\":\"0000000000000000\"},", "or have it twice"},
        {"\"n\":15", "\"n\":16", "longer than it"},
        {"\"shape\":[3,5]", "\"shape\":[3,-5]", "makes no sense"},
        {"\"shape\":[3,5]", "\"shape\":[4611686018427387904,4]", "makes no sense"},
        {"\"kind\":\"exp_avg\"", "\"kind\":\"other\"", "of kind 'other'"},
        {"\"kind\":\"exp_avg\"", "\"kind\":\"parameter\"", "listed twice"},
        {"\"seed\":\"18446744073709551615\"", "\"seed\":\"-1\"", "'seed' is no number"},
        {"\"extra\":1", "\"extra\":2", "'extra' is no file"},
        {"\"model\":\"toy\"", "\"model\":7", "'model' is no text"},
        {"\"layout\":{\"stages\":2}", "\"layout\":[]", "'layout' is no object"},
        {"\"file\":0", "\"file\":1", "a safetensors file"},
        {"\"tensor\":\"b\"", "\"tensor\":\"c\"", "has no tensor 'c'"},
    };
    enum { ROWS = sizeof rows / sizeof rows[0], OF_FILES = 2 }; /* the last two are seen when a file is read */
    for (size_t i = 0; i < ROWS; i++) {
        char name[32];
        snprintf(name, sizeof name, "lies-%zu", i);
        const char *dir = testing_path(name), *folder = folder_of(dir, 1);
        weir_checkpoint *c = NULL;
        float values[15];
        assert_ok(write_at(dir, 1, NAN));
        manifest_replace(folder, rows[i].from, rows[i].to);
        weir_status status = weir_checkpoint_open(folder, &c);
        for (int t = 0; !status && t < weir_checkpoint_info(c)->n_tensors; t++)
            status = weir_checkpoint_read(c, t, 0, weir_checkpoint_info(c)->tensors[t].n_elements, values);
        weir_checkpoint_close(c);
        if (status != (i < ROWS - OF_FILES ? WEIR_ERR_UNSUPPORTED : WEIR_ERR_INVALID) || !strstr(weir_last_error(), rows[i].words))
            fail_msg("row %zu: status %d, '%s'", i, (int)status, weir_last_error());
    }
}

/* ---- folders ------------------------------------------------------------------------------------------------------- */

static int said;

static void said_count(void *context, const char *message)
{
    (void)context;
    assert_non_null(strstr(message, "step-0000"));
    said++;
}

static bool is_there(const char *dir, int64_t step)
{
    return access(folder_of(dir, step), F_OK) == 0;
}

static void the_newest_whole_one_is_found_and_the_rest_pruned(void **state)
{
    (void)state;
    const char *dir = testing_path("many");
    struct weir_arena arena = {0};
    struct weir_checkpoint_entry *entries;
    weir_checkpoint *c;
    char path[512];
    int n;
    assert_ok(weir_checkpoint_newest(dir, said_count, NULL, &c));
    assert_null(c);
    for (int step = 1; step <= 6; step++)
        assert_ok(write_at(dir, step, step == 2 ? 0.5 : 1));
    snprintf(path, sizeof path, "%s/manifest.json", folder_of(dir, 5));
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/part-00000.safetensors", folder_of(dir, 6));
    byte_flip(path, 200, 4);
    said = 0;
    assert_ok(weir_checkpoint_newest(dir, said_count, NULL, &c));
    assert_int_equal(said, 2);
    assert_int_equal(weir_checkpoint_info(c)->step, 4);
    weir_checkpoint_close(c);
    assert_ok(weir_checkpoint_list(dir, &arena, &entries, &n));
    assert_int_equal(n, 6);
    assert_null(entries[5].flaw); /* what is inside is not read */
    assert_non_null(strstr(entries[4].flaw, "manifest.json"));
    assert_true(entries[1].val_loss == 0.5);
    weir_arena_release(&arena);
    assert_ok(weir_checkpoint_prune(dir, 4, 2, true));
    assert_false(is_there(dir, 1) || is_there(dir, 5) || is_there(dir, 6));
    assert_true(is_there(dir, 2) && is_there(dir, 3) && is_there(dir, 4));
    assert_ok(weir_checkpoint_prune(dir, 4, 1, false));
    assert_false(is_there(dir, 2) || is_there(dir, 3));
    assert_ok(whole_check(folder_of(dir, 4)));
}

static void one_of_another_format_is_neither_passed_over_nor_removed(void **state)
{
    (void)state;
    const char *dir = testing_path("formats");
    weir_checkpoint *c;
    assert_ok(write_at(dir, 1, NAN));
    assert_ok(write_at(dir, 2, NAN));
    manifest_replace(folder_of(dir, 1), "\"weir_checkpoint\":1", "\"weir_checkpoint\":2");
    assert_ok(weir_checkpoint_newest(dir, NULL, NULL, &c));
    weir_checkpoint_close(c);
    assert_ok(weir_checkpoint_prune(dir, 2, 1, false));
    assert_true(is_there(dir, 1) && is_there(dir, 2));
    manifest_replace(folder_of(dir, 2), "\"weir_checkpoint\":1", "\"weir_checkpoint\":2");
    assert_fails(weir_checkpoint_newest(dir, NULL, NULL, &c), WEIR_ERR_UNSUPPORTED, "is of format 2");
    assert_null(c);
    assert_fails(write_at(dir, 2, NAN), WEIR_ERR_UNSUPPORTED, "is of format 2");
    assert_true(is_there(dir, 2));
}

static int json_left = -1; /* allocations of jansson; negative: no limit */

static void *json_malloc(size_t bytes)
{
    if (!json_left)
        return NULL;
    json_left -= json_left > 0;
    return malloc(bytes);
}

/* A checkpoint that is removed because memory was short would be lost. */
static void one_that_there_is_no_memory_to_look_at_is_not_called_damaged(void **state)
{
    (void)state;
    const char *dir = testing_path("memory");
    weir_checkpoint *c = NULL;
    int failed = 0;
    assert_ok(write_at(dir, 1, NAN));
    json_set_alloc_funcs(json_malloc, free);
    weir_status status = WEIR_ERR_NOMEM;
    for (int n = 0; status; n++, failed++) {
        json_left = n;
        status = weir_checkpoint_open(folder_of(dir, 1), &c);
        json_left = -1;
        if (status && status != WEIR_ERR_NOMEM && status != WEIR_ERR_UNSUPPORTED)
            fail_msg("after %d allocations: status %d, %s", n, (int)status, weir_last_error());
    }
    weir_checkpoint_close(c);
    json_set_alloc_funcs(malloc, free);
    assert_true(failed > 100);
}

static void one_that_cannot_be_read_is_passed_over_and_stays(void **state)
{
    (void)state;
    const char *dir = testing_path("unreadable");
    weir_checkpoint *c;
    char path[512];
    assert_ok(write_at(dir, 1, NAN));
    assert_ok(write_at(dir, 2, NAN));
    snprintf(path, sizeof path, "%s/manifest.json", folder_of(dir, 2));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(path, path), 0); /* ELOOP, for root too */
    said = 0;
    assert_ok(weir_checkpoint_newest(dir, said_count, NULL, &c));
    assert_int_equal(said, 1);
    assert_int_equal(weir_checkpoint_info(c)->step, 1);
    weir_checkpoint_close(c);
    assert_fails(write_at(dir, 2, NAN), WEIR_ERR_IO, "manifest.json'");
    assert_ok(weir_checkpoint_prune(dir, 1, 1, false));
    assert_true(is_there(dir, 2));
}

static void the_best_counts_when_it_is_among_the_newest(void **state)
{
    (void)state;
    const char *dir = testing_path("best");
    for (int step = 1; step <= 4; step++)
        assert_ok(write_at(dir, step, step == 3 ? 0.5 : 1));
    assert_ok(weir_checkpoint_prune(dir, 4, 2, true));
    assert_true(is_there(dir, 4) && is_there(dir, 3));
    assert_false(is_there(dir, 2) || is_there(dir, 1));
}

static void removing_a_checkpoint_leaves_the_files_of_others(void **state)
{
    (void)state;
    const char *dir = testing_path("others"), *folder = folder_of(dir, 1);
    char path[512];
    assert_ok(write_at(dir, 1, NAN));
    snprintf(path, sizeof path, "%s/notes.txt", folder);
    assert_ok(weir_file_write(path, "mine", 4));
    assert_ok(weir_checkpoint_remove(folder));
    assert_int_equal(access(path, F_OK), 0);
    assert_false(weir_checkpoint_is(folder));
    assert_ok(write_at(dir, 1, NAN)); /* into what is left */
    assert_ok(whole_check(folder));
}

static weir_status write_and_read(const char *dir)
{
    weir_checkpoint *c = NULL;
    float values[15];
    weir_status status = write_at(dir, 1, NAN);
    if (!status)
        status = weir_checkpoint_newest(dir, NULL, NULL, &c);
    if (!status && c)
        status = weir_checkpoint_read(c, 0, 0, 15, values);
    weir_checkpoint_close(c);
    return status;
}

static void every_failed_allocation_is_an_error_and_leaves_no_half(void **state)
{
    (void)state;
    const char *dir = testing_path("memory"), *folder = folder_of(dir, 1);
    weir_status status = WEIR_ERR_NOMEM;
    int budget = 0;
    for (; status; budget++) {
        weir_alloc_set_budget(budget);
        status = write_and_read(dir);
        weir_alloc_set_budget(-1);
        assert_true(!status || status == WEIR_ERR_NOMEM);
        if (weir_checkpoint_is(folder)) {
            assert_ok(whole_check(folder));
            assert_ok(weir_checkpoint_remove(folder));
        }
    }
    assert_true(budget > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_comes_back),
        cmocka_unit_test(every_flipped_bit_is_found_before_anything_is_loaded),
        cmocka_unit_test(damage_names_file_and_tensor),
        cmocka_unit_test(manifests_that_lie_are_refused),
        cmocka_unit_test(the_newest_whole_one_is_found_and_the_rest_pruned),
        cmocka_unit_test(one_of_another_format_is_neither_passed_over_nor_removed),
        cmocka_unit_test(one_that_there_is_no_memory_to_look_at_is_not_called_damaged),
        cmocka_unit_test(one_that_cannot_be_read_is_passed_over_and_stays),
        cmocka_unit_test(the_best_counts_when_it_is_among_the_newest),
        cmocka_unit_test(removing_a_checkpoint_leaves_the_files_of_others),
        cmocka_unit_test(every_failed_allocation_is_an_error_and_leaves_no_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
