/* Exports: dtypes, shards, what goes with the weights, and folders that were there before. */
#include "tests/support/testing.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/replace.h"
#include "base/safetensors.h"
#include "base/tensor_files.h"
#include "base/text.h"
#include "engine/checkpoint/export_folder.h"
#include "include/weir/weir.h"

/* ---- a process that is killed ---------------------------------------------------------------------------------------- */

/* Renames and removals until the process ends by itself; negative: never. */
static int calls_left = -1;

static void call_count(void)
{
    if (calls_left == 0)
        _exit(7);
    if (calls_left > 0)
        calls_left--;
}

int rename(const char *from, const char *to)
{
    call_count();
    return (int)syscall(SYS_renameat2, -100, from, -100, to, 0);
}

int unlink(const char *path)
{
    call_count();
    return (int)syscall(SYS_unlinkat, -100, path, 0);
}

/* Processes die here, not machines: what was written is seen without. */
int fsync(int fd)
{
    (void)fd;
    return 0;
}

/* ---- models ---------------------------------------------------------------------------------------------------------- */

/* GPT-2 with one block, width 4: 12 tensors of 4 to 64 elements and one of 80. */
static const char two_heads[] = "{\"model_type\":\"gpt2\",\"n_embd\":4,\"n_layer\":1,\"n_head\":2,\"n_positions\":8,\"vocab_size\":20}";
static const char one_head[] = "{\"model_type\":\"gpt2\",\"n_embd\":4,\"n_layer\":1,\"n_head\":1,\"n_positions\":8,\"vocab_size\":20}";

struct trainer {
    struct weir_arena arena;
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    weir_engine *engine;
};

static weir_status trainer_open(struct trainer *t, const char *model, uint64_t seed)
{
    const struct weir_model_kind *kind;
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = 4};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    *t = (struct trainer){.engine = NULL};
    weir_status status = weir_model_open(model, &t->arena, &kind);
    if (!status)
        status = weir_model_build(kind, &params, &t->arena, &t->graph);
    if (status)
        return status;
    assert_ok(weir_pipeline_schedule("1f1b", 1, 0, 1, &t->arena, &t->schedule));
    config.graph = t->graph;
    config.schedule = &t->schedule;
    config.seed = seed;
    return weir_engine_open(&config, &t->engine);
}

static void trainer_close(struct trainer *t)
{
    weir_engine_close(t->engine);
    weir_arena_release(&t->arena);
}

static float *param_values(struct trainer *t, int i)
{
    size_t n = (size_t)weir_shape_elements(&t->graph->params[i].shape);
    float *values;
    assert_ok(weir_arena_alloc(&t->arena, n, sizeof *values, &values));
    assert_ok(weir_engine_param_read(t->engine, t->graph->params[i].name, values, n));
    return values;
}

static bool same_params(struct trainer *a, struct trainer *b)
{
    for (int i = 0; i < a->graph->n_params; i++)
        if (memcmp(param_values(a, i), param_values(b, i), weir_shape_bytes(&a->graph->params[i].shape)) != 0)
            return false;
    return true;
}

static void text_write(const char *path, const char *text)
{
    assert_ok(weir_file_write(path, text, strlen(text)));
}

static void folder_clear(const char *dir)
{
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static const char *in(const char *dir, const char *name)
{
    static char paths[4][512];
    static int at;
    at = (at + 1) % 4;
    snprintf(paths[at], sizeof paths[at], "%s/%s", dir, name);
    return paths[at];
}

static bool is_there(const char *dir, const char *name)
{
    return access(in(dir, name), F_OK) == 0;
}

/* What the folder has, read back by Weir, is what the engine has. */
static void folder_check(const char *dir, struct trainer *t)
{
    struct trainer again;
    assert_ok(trainer_open(&again, dir, 99));
    assert_ok(weir_engine_load_weights(again.engine, dir));
    assert_true(same_params(t, &again));
    trainer_close(&again);
}

static const char *model_folder(const char *name, const char *config)
{
    const char *dir = testing_path(name);
    mkdir(dir, 0777);
    text_write(in(dir, "config.json"), config);
    return dir;
}

static void dtypes_check(const char *dir, enum weir_safetensors_dtype dtype, const char *word)
{
    struct weir_tensor_files files;
    char *config;
    size_t n;
    assert_ok(weir_tensor_files_open(dir, &files));
    for (int f = 0; f < files.n_files; f++)
        for (int t = 0; t < files.files[f].n_tensors; t++)
            assert_int_equal(files.files[f].tensors[t].dtype, dtype);
    weir_tensor_files_close(&files);
    assert_ok(weir_file_read(in(dir, "config.json"), 1 << 20, &config, &n));
    assert_non_null(strstr(config, word));
    free(config);
}

/* ---- tests ----------------------------------------------------------------------------------------------------------- */

static void an_export_has_the_dtype_of_its_source_or_the_one_asked_for(void **state)
{
    (void)state;
    static const struct {
        enum weir_export_dtype dtype;
        enum weir_safetensors_dtype written;
        const char *word;
    } rows[] = {{WEIR_EXPORT_SOURCE, WEIR_SAFETENSORS_F32, "\"torch_dtype\": \"float32\""},
                {WEIR_EXPORT_BF16, WEIR_SAFETENSORS_BF16, "\"torch_dtype\": \"bfloat16\""},
                {WEIR_EXPORT_F16, WEIR_SAFETENSORS_F16, "\"torch_dtype\": \"float16\""},
                {WEIR_EXPORT_F32, WEIR_SAFETENSORS_F32, "\"torch_dtype\": \"float32\""}};
    const char *model = model_folder("dtypes", two_heads), *first = testing_path("first"), *second = testing_path("second");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct trainer t, rounded;
        assert_ok(trainer_open(&t, model, 3));
        assert_ok(weir_engine_export(t.engine, &(struct weir_export){.dir = first, .dtype = rows[i].dtype}));
        dtypes_check(first, rows[i].written, rows[i].word);
        /* from there on it is the source's: to the bit, since rounding twice is rounding once */
        assert_ok(trainer_open(&rounded, first, 4));
        assert_ok(weir_engine_load_weights(rounded.engine, first));
        assert_ok(weir_engine_export(rounded.engine, &(struct weir_export){.dir = second, .like = {model, first}}));
        dtypes_check(second, rows[i].written, rows[i].word);
        folder_check(second, &rounded);
        trainer_close(&t);
        trainer_close(&rounded);
    }
}

static void a_config_without_weights_says_the_dtype(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        enum weir_safetensors_dtype written;
    } rows[] = {{"\"torch_dtype\":\"bfloat16\"", WEIR_SAFETENSORS_BF16}, {"\"dtype\":\"torch.float16\"", WEIR_SAFETENSORS_F16},
                {"\"dtype\":\"float32\"", WEIR_SAFETENSORS_F32}, {"\"dtype\":\"float64\"", WEIR_SAFETENSORS_F32}};
    const char *out = testing_path("said");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char config[512];
        struct trainer t;
        snprintf(config, sizeof config, "{%s,%s", rows[i].keys, two_heads + 1);
        const char *model = model_folder("configured", config);
        assert_ok(trainer_open(&t, model, 3));
        assert_ok(weir_engine_export(t.engine, &(struct weir_export){.dir = out, .like = {in(model, "config.json")}}));
        dtypes_check(out, rows[i].written, "torch_dtype");
        trainer_close(&t);
    }
}

static char logged[1024];

static void log_keep(enum weir_log_level level, const char *message, void *context)
{
    (void)context, (void)level;
    snprintf(logged, sizeof logged, "%s", message);
}

static void values_that_a_narrow_dtype_does_not_have_are_exported_as_f32_and_said(void **state)
{
    (void)state;
    struct trainer t;
    const char *model = model_folder("large", two_heads), *out = testing_path("large_out");
    const float largest[] = {65519, 65520, 3.4e38f};
    static const enum weir_export_dtype asked[] = {WEIR_EXPORT_F16, WEIR_EXPORT_BF16};
    weir_log_set(log_keep, NULL);
    for (int a = 0; a < 2; a++)
        for (int i = 0; i < 3; i++) {
            float values[4] = {1, -largest[i], NAN, INFINITY};
            bool fits = i < 2 - (asked[a] == WEIR_EXPORT_F16);
            logged[0] = 0;
            assert_ok(trainer_open(&t, model, 3));
            assert_ok(weir_engine_param_write(t.engine, "ln_f.weight", values, 4));
            assert_ok(weir_engine_export(t.engine, &(struct weir_export){.dir = out, .dtype = asked[a], .shard_bytes = 100}));
            dtypes_check(out, fits ? a ? WEIR_SAFETENSORS_BF16 : WEIR_SAFETENSORS_F16 : WEIR_SAFETENSORS_F32,
                         fits ? a ? "bfloat16" : "float16" : "float32");
            assert_int_equal(strstr(logged, "is F32: the model has values up to") != NULL, !fits);
            if (!fits)
                folder_check(out, &t);
            trainer_close(&t);
        }
    weir_log_set(NULL, NULL);
}

static int shards_count(const char *dir)
{
    struct weir_tensor_files files;
    assert_ok(weir_tensor_files_open(dir, &files));
    int n = files.n_files;
    weir_tensor_files_close(&files);
    return n;
}

static void weights_beyond_the_size_of_a_file_are_sharded_and_read_back(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        int n_shards;
    } rows[] = {{0, 1}, {1, 16}, {16, 16}, {320, 6}, {1600, 1}, {800, 2}};
    const char *model = model_folder("sharding", two_heads);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct trainer t;
        const char *out = testing_path("sharded");
        assert_ok(trainer_open(&t, model, 3));
        assert_ok(weir_engine_export(t.engine, &(struct weir_export){.dir = out, .shard_bytes = rows[i].bytes}));
        int n = shards_count(out);
        if (n != rows[i].n_shards)
            fail_msg("%llu bytes: %d files, not %d", (unsigned long long)rows[i].bytes, n, rows[i].n_shards);
        folder_check(out, &t);
        assert_int_equal(weir_export_owner(out), WEIR_EXPORT_WEIR);
        /* what the export before had and this one has not is gone */
        assert_int_equal(is_there(out, "model.safetensors"), n == 1);
        assert_int_equal(is_there(out, "model.safetensors.index.json"), n > 1);
        assert_int_equal(is_there(out, "model-00001-of-00016.safetensors"), n == 16);
        assert_int_equal(is_there(out, "model-00006-of-00006.safetensors"), n == 6);
        trainer_close(&t);
    }
}

static void shards_of_others_are_not_weirs(void **state)
{
    (void)state;
    struct trainer t;
    const char *out = testing_path("theirs"), *shard;
    const int64_t dims[] = {1};
    const struct weir_safetensors_decl decl = {"a", WEIR_SAFETENSORS_F32, 1, dims};
    const float value = 1;
    weir_safetensors_writer *writer;
    mkdir(out, 0777);
    text_write(in(out, "model.safetensors.index.json"), "{\"weight_map\": {\"a\": \"model-00001-of-00001.safetensors\"}}");
    assert_int_equal(weir_export_owner(out), WEIR_EXPORT_OTHERS);
    shard = in(out, "model-00001-of-00001.safetensors");
    assert_ok(weir_safetensors_create(&(struct weir_safetensors_spec){.path = shard, .n_tensors = 1, .tensors = &decl}, &writer));
    assert_ok(weir_safetensors_write(writer, 0, 0, &value, sizeof value));
    assert_ok(weir_safetensors_commit(writer));
    assert_int_equal(weir_export_owner(out), WEIR_EXPORT_OTHERS);
    assert_ok(trainer_open(&t, model_folder("sharding", two_heads), 3));
    assert_ok(weir_engine_export(t.engine, &(struct weir_export){.dir = out}));
    assert_int_equal(weir_export_owner(out), WEIR_EXPORT_WEIR);
    assert_false(is_there(out, "model-00001-of-00001.safetensors"));
    trainer_close(&t);
}

static void names_of_shards_are_told_from_others(void **state)
{
    (void)state;
    static const char *const others[] = {"model.safetensors", "model-1-of-2.safetensors", "model-00001-of-00002.safetensors.tmp",
                                         "model-00001-of-00002.bin", "my-model-00001-of-00002.safetensors", "model-00001-of-000002.safetensors", "", "model-"};
    assert_true(weir_export_is_shard("model-00001-of-00002.safetensors"));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (weir_export_is_shard(others[i]))
            fail_msg("'%s' is none", others[i]);
}

static mode_t mode_of(const char *path)
{
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    return info.st_mode;
}

static void replaced_files_keep_their_permissions_and_links_stay_links(void **state)
{
    (void)state;
    struct trainer t;
    const char *out = testing_path("kept"), *aside = testing_path("aside");
    const char *model = model_folder("keeping", two_heads);
    mkdir(aside, 0777);
    assert_ok(trainer_open(&t, model, 3));
    for (uint64_t shard = 0; shard < 2000; shard += 800) {
        folder_clear(out);
        assert_ok(weir_engine_export(t.engine, &(struct weir_export){.dir = out, .shard_bytes = shard}));
        char weights[512];
        snprintf(weights, sizeof weights, "%s", in(out, shard == 800 ? "model-00002-of-00002.safetensors" : "model.safetensors"));
        assert_int_equal(chmod(weights, 0640), 0);
        assert_int_equal(rename(in(out, "config.json"), in(aside, "config.json")), 0);
        assert_int_equal(chmod(in(aside, "config.json"), 0600), 0);
        assert_int_equal(symlink(in(aside, "config.json"), in(out, "config.json")), 0);
        text_write(in(aside, "config.json"), "{}"); /* it will differ */
        assert_ok(weir_engine_export(t.engine, &(struct weir_export){.dir = out, .shard_bytes = shard}));
        assert_true(S_ISLNK(mode_of(in(out, "config.json"))));
        assert_int_equal(mode_of(in(aside, "config.json")) & 0777, 0600);
        assert_int_equal(mode_of(weights) & 0777, 0640);
        folder_check(out, &t);
    }
    trainer_close(&t);
}

static void a_refused_export_leaves_no_folder(void **state)
{
    (void)state;
    struct trainer t;
    const char *out = testing_path("refused");
    const char *model = model_folder("refusing", two_heads);
    assert_ok(trainer_open(&t, model, 3));
    assert_int_equal(mkdir(in(model, "tokenizer.json"), 0777), 0);
    bool made = false;
    assert_fails(weir_export_check(t.graph, &(struct weir_export){.dir = out, .like = {model}}, &made), WEIR_ERR_INVALID, "tokenizer.json");
    assert_fails(weir_engine_export(t.engine, &(struct weir_export){.dir = out, .like = {model}}), WEIR_ERR_INVALID, "tokenizer.json");
    assert_int_not_equal(access(out, F_OK), 0);
    assert_false(made);
    assert_int_equal(rmdir(in(model, "tokenizer.json")), 0);
    assert_ok(weir_export_check(t.graph, &(struct weir_export){.dir = out, .like = {model}}, &made));
    assert_true(made);
    trainer_close(&t);
}

/* ---- processes that are killed --------------------------------------------------------------------------------------- */

struct life {
    const char *before, *after; /* config.json */
    uint64_t shards_before, shards_after;
};

/* Export in a process of its own that ends before its `calls`th rename or removal; true: it came to the end. */
static bool export_killed(const char *model, const struct weir_export *export, uint64_t seed, int calls)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct trainer t;
        bool good = !trainer_open(&t, model, seed);
        calls_left = calls;
        good = good && !weir_engine_export(t.engine, export);
        _exit(good ? 0 : 9);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 7));
    return WEXITSTATUS(status) == 0;
}

/* All of it is the first export or the second: numbers of heads, weights, tokenizer. */
static bool is_one_of(const char *dir, const char *const models[2], struct trainer trainers[2])
{
    struct trainer t;
    bool found = false;
    char *tokenizer = NULL;
    size_t n;
    if (trainer_open(&t, dir, 99) || weir_engine_load_weights(t.engine, dir)) {
        trainer_close(&t);
        return true; /* refused */
    }
    assert_ok(weir_file_read(in(dir, "tokenizer.json"), 100, &tokenizer, &n));
    for (int i = 0; i < 2; i++) {
        bool same = !strcmp(t.graph->hf_config, trainers[i].graph->hf_config) && same_params(&t, &trainers[i]);
        found = found || (same && !strcmp(tokenizer, models[i]));
    }
    free(tokenizer);
    trainer_close(&t);
    return found;
}

static int life_run(const struct life *life)
{
    const char *out = testing_path("killed"), *const configs[] = {life->before, life->after};
    const char *models[2] = {model_folder("before", life->before), model_folder("after", life->after)};
    const char *const tokenizers[] = {"[1]", life->before == life->after ? "[1]" : "[2]"};
    struct trainer trainers[2];
    int calls = 0;
    for (int i = 0; i < 2; i++) {
        assert_ok(trainer_open(&trainers[i], models[i], (uint64_t)i + 1));
        text_write(in(models[i], "tokenizer.json"), tokenizers[i]);
        assert_non_null(configs[i]);
    }
    for (bool whole = false; !whole; calls++) {
        folder_clear(out);
        struct weir_export first = {.dir = out, .like = {models[0]}, .shard_bytes = life->shards_before};
        struct weir_export second = {.dir = out, .like = {models[1]}, .shard_bytes = life->shards_after};
        assert_ok(weir_engine_export(trainers[0].engine, &first));
        whole = export_killed(models[1], &second, 2, calls);
        if (!is_one_of(out, tokenizers, trainers))
            fail_msg("killed before call %d: the folder is a mixture", calls);
        assert_ok(weir_engine_export(trainers[1].engine, &second)); /* and it does not stand in the way */
        folder_check(out, &trainers[1]);
    }
    trainer_close(&trainers[0]);
    trainer_close(&trainers[1]);
    return calls;
}

static void a_process_killed_at_any_rename_leaves_one_export_or_none(void **state)
{
    (void)state;
    static const struct life lives[] = {{two_heads, two_heads, 0, 0},   {two_heads, one_head, 0, 0},      {two_heads, two_heads, 0, 800},
                                        {two_heads, one_head, 800, 0},  {two_heads, two_heads, 800, 800}, {two_heads, one_head, 600, 800}};
    for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++)
        assert_true(life_run(&lives[i]) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_export_has_the_dtype_of_its_source_or_the_one_asked_for),
        cmocka_unit_test(a_config_without_weights_says_the_dtype),
        cmocka_unit_test(values_that_a_narrow_dtype_does_not_have_are_exported_as_f32_and_said),
        cmocka_unit_test(weights_beyond_the_size_of_a_file_are_sharded_and_read_back),
        cmocka_unit_test(shards_of_others_are_not_weirs),
        cmocka_unit_test(names_of_shards_are_told_from_others),
        cmocka_unit_test(replaced_files_keep_their_permissions_and_links_stay_links),
        cmocka_unit_test(a_refused_export_leaves_no_folder),
        cmocka_unit_test(a_process_killed_at_any_rename_leaves_one_export_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
