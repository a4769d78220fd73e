/* safetensors, written: files that are whole or absent, parts from several processes, and shards.   labels: pure */
#include "tests/support/testing.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/tensor_files.h"
#include "base/replace.h"
#include "base/text.h"

static const int64_t dims_2_3[] = {2, 3}, dims_5[] = {5};
static const struct weir_safetensors_decl decls[] = {{"z", WEIR_SAFETENSORS_U8, 1, dims_5},
                                                     {"b\"q", WEIR_SAFETENSORS_F32, 2, dims_2_3},
                                                     {"a", WEIR_SAFETENSORS_F32, 0, NULL},
                                                     {"h", WEIR_SAFETENSORS_F64, 1, dims_5}};
static const struct weir_safetensors_text metadata[] = {{"format", "pt"}, {"note", "a \"quoted\" word"}};

static struct weir_safetensors_spec spec_of(const char *path)
{
    return (struct weir_safetensors_spec){
        .path = path, .tag = "t", .n_tensors = 4, .n_metadata = 2, .tensors = decls, .metadata = metadata};
}

static const float six[] = {1, 2, 3, 4, 5, 6};

static void whole_write(const char *path)
{
    static const double five[] = {9, 8, 7, 6, 5};
    struct weir_safetensors_spec spec = spec_of(path);
    weir_safetensors_writer *writer;
    assert_ok(weir_safetensors_create(&spec, &writer));
    assert_ok(weir_safetensors_write(writer, 3, 0, five, sizeof five));
    assert_ok(weir_safetensors_write(writer, 0, 0, "\1\2\3\4\5", 5));
    assert_ok(weir_safetensors_write(writer, 1, 8, six + 2, 16));
    assert_ok(weir_safetensors_write(writer, 1, 0, six, 8));
    assert_ok(weir_safetensors_write(writer, 2, 0, six, 4));
    assert_int_not_equal(access(path, F_OK), 0);
    assert_ok(weir_safetensors_commit(writer));
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    const char *path = testing_path("whole");
    struct weir_safetensors file;
    float values[6];
    whole_write(path);
    assert_ok(weir_safetensors_open(path, &file));
    assert_int_equal(file.data_at % 64, 0);
    assert_int_equal(weir_safetensors_find(&file, "h")->begin, 0); /* the widest first, then by name */
    assert_int_equal(weir_safetensors_find(&file, "a")->begin, 40);
    assert_int_equal(weir_safetensors_find(&file, "b\"q")->begin, 44);
    assert_int_equal(weir_safetensors_find(&file, "z")->begin, 68);
    assert_ok(weir_safetensors_floats(&file, weir_safetensors_find(&file, "b\"q"), 0, 6, values));
    assert_memory_equal(values, six, sizeof six);
    assert_string_equal(weir_safetensors_metadata(&file, "note"), "a \"quoted\" word");
    weir_safetensors_close(&file);
    assert_int_not_equal(access(testing_path("whole.tmp.t"), F_OK), 0);
}

static void processes_write_their_parts_of_one_file(void **state)
{
    (void)state;
    const char *path = testing_path("shared");
    struct weir_safetensors_spec spec = spec_of(path);
    weir_safetensors_writer *writer, *joined;
    assert_ok(weir_safetensors_create(&spec, &writer));
    pid_t child = fork();
    if (child == 0) {
        bool good = !weir_safetensors_join(&spec, &joined) && !weir_safetensors_write(joined, 1, 12, six + 3, 12) &&
                    !weir_safetensors_leave(joined);
        _exit(good ? 0 : 1);
    }
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    assert_ok(weir_safetensors_write(writer, 1, 0, six, 12));
    assert_ok(weir_safetensors_commit(writer));
    struct weir_safetensors file;
    float values[6];
    assert_ok(weir_safetensors_open(path, &file));
    assert_ok(weir_safetensors_floats(&file, weir_safetensors_find(&file, "b\"q"), 0, 6, values));
    assert_memory_equal(values, six, sizeof six);
    weir_safetensors_close(&file);
    assert_fails(weir_safetensors_join(&spec, &joined), WEIR_ERR_IO, "shared.tmp.t");
}

static void bad_declarations_and_places_are_refused(void **state)
{
    (void)state;
    static const int64_t negative[] = {-1}, huge[] = {INT64_MAX / 8, 4}, three[] = {3};
    static const struct {
        struct weir_safetensors_decl decl[2];
        const char *words;
    } rows[] = {
        {{{"a", WEIR_SAFETENSORS_F32, 1, negative}, {"b", WEIR_SAFETENSORS_F32, 0, NULL}}, "tensor 'a'"},
        {{{"a", WEIR_SAFETENSORS_F32, 2, huge}, {"b", WEIR_SAFETENSORS_F32, 0, NULL}}, "tensor 'a'"},
        {{{"a", WEIR_SAFETENSORS_F4, 1, three}, {"b", WEIR_SAFETENSORS_F32, 0, NULL}}, "tensor 'a'"},
        {{{"a", WEIR_SAFETENSORS_F32, 1, three}, {"a", WEIR_SAFETENSORS_F32, 0, NULL}}, "tensor 'a' is declared twice"},
        {{{"a", WEIR_SAFETENSORS_F32, 1, three}, {"__metadata__", WEIR_SAFETENSORS_F32, 0, NULL}}, "'__metadata__'"},
        {{{"a", WEIR_SAFETENSORS_F32, 1, three}, {"\xff", WEIR_SAFETENSORS_F32, 0, NULL}}, "not UTF-8"},
    };
    weir_safetensors_writer *writer;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_safetensors_spec spec = {.path = testing_path("bad"), .n_tensors = 2, .tensors = rows[i].decl};
        assert_fails(weir_safetensors_create(&spec, &writer), WEIR_ERR_INVALID, rows[i].words);
    }
    struct weir_safetensors_spec spec = spec_of(testing_path("bad"));
    assert_ok(weir_safetensors_create(&spec, &writer));
    assert_fails(weir_safetensors_write(writer, 1, 20, six, 8), WEIR_ERR_INVALID, "beyond tensor 1");
    assert_fails(weir_safetensors_write(writer, 1, UINT64_MAX, six, 8), WEIR_ERR_INVALID, "beyond tensor 1");
    assert_fails(weir_safetensors_write(writer, 4, 0, six, 1), WEIR_ERR_INVALID, "beyond tensor 4");
    weir_safetensors_abort(writer);
    assert_int_not_equal(access(testing_path("bad.tmp.t"), F_OK), 0);
}

static void room_limit(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A full disk is played by a limit on the size of files. */
static void without_room_the_old_file_stays_and_nothing_else(void **state)
{
    (void)state;
    const char *path = testing_path("kept");
    struct weir_safetensors_spec spec = spec_of(path);
    weir_safetensors_writer *writer;
    struct stat before, after;
    signal(SIGXFSZ, SIG_IGN);
    whole_write(path);
    assert_int_equal(stat(path, &before), 0);
    room_limit(100);
    assert_fails(weir_safetensors_create(&spec, &writer), WEIR_ERR_IO, "kept': ");
    room_limit(RLIM_INFINITY);
    assert_int_not_equal(access(testing_path("kept.tmp.t"), F_OK), 0);
    assert_ok(weir_safetensors_create(&spec, &writer));
    room_limit(100);
    assert_fails(weir_safetensors_write(writer, 0, 0, "\1\2\3\4\5", 5), WEIR_ERR_IO, "kept': ");
    room_limit(RLIM_INFINITY);
    weir_safetensors_abort(writer);
    assert_int_not_equal(access(testing_path("kept.tmp.t"), F_OK), 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    spec.path = testing_path("no/folder");
    assert_fails(weir_safetensors_create(&spec, &writer), WEIR_ERR_IO, "No such file");
}

/* ---- shards -------------------------------------------------------------------------------------------------------- */

static void shard_write(const char *path, const char *name)
{
    const struct weir_safetensors_decl decl = {name, WEIR_SAFETENSORS_F32, 2, dims_2_3};
    struct weir_safetensors_spec spec = {.path = path, .n_tensors = 1, .tensors = &decl};
    weir_safetensors_writer *writer;
    assert_ok(weir_safetensors_create(&spec, &writer));
    assert_ok(weir_safetensors_write(writer, 0, 0, six, sizeof six));
    assert_ok(weir_safetensors_commit(writer));
}

static void text_write(const char *name, const char *text)
{
    assert_ok(weir_file_write(testing_path(name), text, strlen(text)));
}

static void shards_are_one_set_of_tensors(void **state)
{
    (void)state;
    struct weir_tensor_files files;
    const struct weir_safetensors *file;
    const struct weir_safetensors_tensor *tensor;
    mkdir(testing_path("sharded"), 0777);
    shard_write(testing_path("sharded/one.safetensors"), "a");
    shard_write(testing_path("sharded/two.safetensors"), "b");
    text_write("sharded/model.safetensors.index.json",
               "{\"metadata\":{},\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    assert_ok(weir_tensor_files_open(testing_path("sharded"), &files));
    assert_int_equal(files.n_files, 2);
    assert_true(weir_tensor_files_find(&files, "b", &file, &tensor));
    assert_non_null(strstr(file->path, "sharded/two.safetensors"));
    assert_false(weir_tensor_files_find(&files, "c", &file, &tensor));
    weir_tensor_files_close(&files);
    assert_ok(weir_tensor_files_open(testing_path("sharded/one.safetensors"), &files));
    assert_int_equal(files.n_files, 1);
    weir_tensor_files_close(&files);
}

static void an_index_that_does_not_fit_its_shards_is_refused(void **state)
{
    (void)state;
    static const struct {
        weir_status status;
        const char *index, *words;
    } rows[] = {
        {WEIR_ERR_INVALID, "{}", "no object 'weight_map'"},
        {WEIR_ERR_INVALID, "[]", "no object 'weight_map'"},
        {WEIR_ERR_INVALID, "{", "line 1"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":1}}", "the shard of tensor 'a' is not a string"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":\"../one.safetensors\"}}",
         "shard '../one.safetensors' is not a plain name"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "shard '/etc/passwd' is not a plain name"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":\"..\"}}", "is not a plain name"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":\"\"}}", "is not a plain name"},
        {WEIR_ERR_IO, "{\"weight_map\":{\"a\":\"none.safetensors\"}}", "none.safetensors': No such file"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"one.safetensors\"}}",
         "tensor 'b' is not in shard 'one.safetensors'"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"b\":\"two.safetensors\",\"a\":\"two.safetensors\"}}",
         "tensor 'a' is not in shard 'two.safetensors'"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":\"both.safetensors\"}}", "does not say that tensor 'b\"q'"},
    };
    struct weir_tensor_files files;
    mkdir(testing_path("odd"), 0777);
    shard_write(testing_path("odd/one.safetensors"), "a");
    shard_write(testing_path("odd/two.safetensors"), "b");
    whole_write(testing_path("odd/both.safetensors"));
    assert_fails(weir_tensor_files_open(testing_path("odd"), &files), WEIR_ERR_IO, "has no model.safetensors");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        text_write("odd/model.safetensors.index.json", rows[i].index);
        assert_fails(weir_tensor_files_open(testing_path("odd"), &files), rows[i].status, rows[i].words);
    }
}

/* Raise the number of allocations that succeed until all do; every failure is one of memory and leaks nothing. */
static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    const char *path = testing_path("budget");
    struct weir_safetensors_spec spec = spec_of(path);
    weir_status status = WEIR_ERR_NOMEM;
    whole_write(path);
    for (int budget = 0; status; budget++) {
        struct weir_tensor_files files;
        weir_alloc_set_budget(budget);
        status = weir_tensor_files_open(path, &files);
        assert_true(!status || status == WEIR_ERR_NOMEM);
        if (!status)
            weir_tensor_files_close(&files);
    }
    status = WEIR_ERR_NOMEM;
    for (int budget = 0; status; budget++) {
        weir_safetensors_writer *writer;
        weir_alloc_set_budget(budget);
        status = weir_safetensors_create(&spec, &writer);
        assert_true(!status || status == WEIR_ERR_NOMEM);
        if (!status)
            weir_safetensors_abort(writer);
    }
    weir_alloc_set_budget(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(processes_write_their_parts_of_one_file),
        cmocka_unit_test(bad_declarations_and_places_are_refused),
        cmocka_unit_test(without_room_the_old_file_stays_and_nothing_else),
        cmocka_unit_test(shards_are_one_set_of_tensors),
        cmocka_unit_test(an_index_that_does_not_fit_its_shards_is_refused),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
