/* Weights: exported and imported to the bit, by any partition; files that do not fit change nothing.   labels: threads */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/safetensors.h"
#include "base/replace.h"
#include "base/text.h"
#include "engine/checkpoint/export_folder.h"
#include "engine/checkpoint/export_plan.h"
#include "include/weir/weir.h"
#include "kernels/op_rows.h"

struct trainer {
    struct weir_arena arena;
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    weir_engine *engine;
    int n_replicas;
    double grad_norm; /* of the last step */
};

static void replicas_open(struct trainer *t, const char *model, int stages, int replicas, int zero, uint64_t seed)
{
    const struct weir_model_kind *kind;
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = 8};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    *t = (struct trainer){.engine = NULL};
    assert_ok(weir_model_open(model, &t->arena, &kind));
    if (kind->data == WEIR_DATA_IMAGES)
        params = (struct weir_model_params){.microbatch_size = 1, .n_inputs = 4, .n_classes = 2};
    assert_ok(weir_model_build(kind, &params, &t->arena, &t->graph));
    assert_ok(weir_pipeline_schedule("1f1b", stages, 0, 2, &t->arena, &t->schedule));
    config.graph = t->graph;
    config.schedule = &t->schedule;
    config.seed = seed;
    config.replicas = t->n_replicas = replicas;
    config.zero = zero;
    assert_ok(weir_engine_open(&config, &t->engine));
}

static void trainer_open(struct trainer *t, const char *model, int stages, uint64_t seed)
{
    replicas_open(t, model, stages, 1, 0, seed);
}

static void trainer_close(struct trainer *t)
{
    weir_engine_close(t->engine);
    weir_arena_release(&t->arena);
}

static weir_status export_check(const struct trainer *t, const char *dir)
{
    bool made;
    weir_status status = weir_export_check(t->graph, &(struct weir_export){.dir = dir}, &made);
    if (!status && made)
        assert_int_equal(rmdir(dir), 0);
    return status;
}

static weir_status export_write(const struct trainer *t, const char *dir)
{
    return weir_engine_export(t->engine, &(struct weir_export){.dir = dir});
}

static void step_run(struct trainer *t)
{
    struct weir_step_report report;
    for (int mb = 0; mb < 2 * t->n_replicas; mb++) {
        const int32_t tokens[8] = {1, 2, 3, 4, 5, 6, 7, mb}, targets[8] = {2, 3, 4, 5, 6, 7, 8, 9};
        assert_ok(weir_engine_feed(t->engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(t->engine, "targets", mb, targets));
    }
    assert_ok(weir_engine_step(t->engine, 1e-2, &report));
    t->grad_norm = report.grad_norm;
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
    assert_int_equal(a->graph->n_params, b->graph->n_params);
    for (int i = 0; i < a->graph->n_params; i++)
        if (memcmp(param_values(a, i), param_values(b, i), weir_shape_bytes(&a->graph->params[i].shape)) != 0)
            return false;
    return true;
}

static void what_is_exported_is_imported_to_the_bit(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        int from, to;
    } rows[] = {{"gpt2-tiny", 1, 3}, {"gpt2-tiny", 4, 1}, {"llama-tiny", 1, 2}, {"llama-tiny", 4, 3}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct trainer a, b;
        trainer_open(&a, rows[i].model, rows[i].from, 1);
        step_run(&a);
        assert_ok(export_check(&a, testing_path("model")));
        assert_ok(export_write(&a, testing_path("model")));
        trainer_open(&b, testing_path("model"), rows[i].to, 2); /* the sizes come from config.json */
        assert_false(same_params(&a, &b));
        assert_ok(weir_engine_load_weights(b.engine, testing_path("model")));
        assert_true(same_params(&a, &b));
        trainer_close(&a);
        trainer_close(&b);
    }
}

/* Two engines with the same weights, one imported: the next step is the same, tied copies on other ranks included. */
static void training_goes_on_from_imported_weights(void **state)
{
    (void)state;
    struct trainer a, b;
    trainer_open(&a, "gpt2-tiny", 2, 5);
    trainer_open(&b, "gpt2-tiny", 4, 6);
    assert_ok(export_write(&a, testing_path("start")));
    assert_ok(weir_engine_load_weights(b.engine, testing_path("start/model.safetensors")));
    step_run(&a);
    step_run(&b);
    assert_true(same_params(&a, &b));
    trainer_close(&a);
    trainer_close(&b);
}

/* All of it is read, from whoever has it: the norm over what was read is the step's. */
static void gradients_are_whole_whatever_the_layout(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        int stages, replicas, zero;
    } rows[] = {{"gpt2-tiny", 1, 1, 0}, {"gpt2-tiny", 3, 1, 0}, {"gpt2-tiny", 2, 2, 0}, {"gpt2-tiny", 2, 2, 1},
                {"llama-tiny", 2, 3, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct trainer t;
        double sum = 0;
        replicas_open(&t, rows[i].model, rows[i].stages, rows[i].replicas, rows[i].zero, 1);
        step_run(&t);
        for (int p = 0; p < t.graph->n_params; p++) {
            size_t n = (size_t)weir_shape_elements(&t.graph->params[p].shape);
            float *values;
            assert_ok(weir_arena_alloc(&t.arena, n, sizeof *values, &values));
            assert_ok(weir_engine_gradient_read(t.engine, t.graph->params[p].name, values, n));
            for (size_t k = 0; k < n; k++)
                sum += (double)values[k] * (double)values[k];
        }
        if (!(fabs(sqrt(sum) - t.grad_norm) <= 1e-6 * t.grad_norm))
            fail_msg("row %zu: the gradients have norm %.9g, the step has %.9g", i, sqrt(sum), t.grad_norm);
        trainer_close(&t);
    }
}

/* ---- files of our own: GPT-2 with one block, width 2 ------------------------------------------------------------------ */

static const char small[] = "{\"model_type\":\"gpt2\",\"n_embd\":2,\"n_layer\":1,\"n_head\":1,\"n_positions\":8,"
                            "\"vocab_size\":10}";

/* What is done to the tensors of a right file. */
struct change {
    const char *sentence;
    const char *prefix;                 /* in front of the names */
    const char *omit, *instead;         /* a tensor left out, and its new name where there is one */
    const char *extra;                  /* one more tensor, (1, 1, 8, 8) */
    const char *misshapen;              /* a tensor whose two dimensions trade places, or which gets one more */
    enum weir_safetensors_dtype dtype;  /* of all of them */
    weir_status status;
    const char *words;
};

static const struct change changes[] = {
    {"nothing", "", NULL, NULL, NULL, NULL, WEIR_SAFETENSORS_F32, WEIR_OK, ""},
    {"a prefix", "transformer.", NULL, NULL, NULL, NULL, WEIR_SAFETENSORS_F32, WEIR_OK, ""},
    {"a mask", "", NULL, NULL, "h.0.attn.bias", NULL, WEIR_SAFETENSORS_F32, WEIR_OK, ""},
    {"an old mask", "transformer.", NULL, NULL, "transformer.h.0.attn.masked_bias", NULL, WEIR_SAFETENSORS_F32, WEIR_OK, ""},
    {"half", "", NULL, NULL, NULL, NULL, WEIR_SAFETENSORS_F16, WEIR_OK, ""},
    {"bfloat16", "", NULL, NULL, NULL, NULL, WEIR_SAFETENSORS_BF16, WEIR_OK, ""},
    {"a missing tensor", "", "h.0.mlp.c_fc.bias", NULL, NULL, NULL, WEIR_SAFETENSORS_F32, WEIR_ERR_INVALID,
     "tensor 'h.0.mlp.c_fc.bias' of model"},
    {"an extra tensor", "", NULL, NULL, "h.1.ln_1.weight", NULL, WEIR_SAFETENSORS_F32, WEIR_ERR_INVALID,
     "tensor 'h.1.ln_1.weight' is extra"},
    {"another name", "", "ln_f.bias", "ln_g.bias", NULL, NULL, WEIR_SAFETENSORS_F32, WEIR_ERR_INVALID,
     "tensor 'ln_g.bias' is extra"},
    {"twice", "", NULL, NULL, "transformer.ln_f.bias", NULL, WEIR_SAFETENSORS_F32, WEIR_ERR_INVALID,
     "'transformer.ln_f.bias' are both parameter 'ln_f.bias'"},
    {"(out, in)", "", NULL, NULL, NULL, "h.0.attn.c_attn.weight", WEIR_SAFETENSORS_F32, WEIR_ERR_INVALID,
     "tensor 'h.0.attn.c_attn.weight' is (6, 2), parameter 'h.0.attn.c_attn.weight' is (2, 6), in config.json (n_embd, 3 n_embd)"},
    {"one dimension more", "", NULL, NULL, NULL, "ln_f.weight", WEIR_SAFETENSORS_F32, WEIR_ERR_INVALID,
     "tensor 'ln_f.weight' is (2, 1), parameter 'ln_f.weight' is (2), in config.json (n_embd)"},
    {"a head of another shape", "", NULL, NULL, "lm_head.weight", NULL, WEIR_SAFETENSORS_F32, WEIR_ERR_INVALID,
     "tensor 'lm_head.weight' is (1, 1, 8, 8), parameter 'wte.weight' is (10, 2), in config.json (vocab_size, n_embd)"},
    {"a head in place of its tied table", "", "wte.weight", "lm_head.weight", NULL, NULL, WEIR_SAFETENSORS_F32, WEIR_OK, ""},
    {"whole numbers", "", NULL, NULL, NULL, NULL, WEIR_SAFETENSORS_I32, WEIR_ERR_UNSUPPORTED, "is I32"},
};

static const int64_t dims_mask[] = {1, 1, 8, 8};

/* The declarations of the changed file. */
static int decls_make(const struct weir_graph *graph, const struct change *c, struct weir_arena *arena,
                      struct weir_safetensors_decl *decls)
{
    int n = 0;
    for (int i = 0; i < graph->n_params; i++) {
        const struct weir_param *param = &graph->params[i];
        bool omitted = c->omit && !strcmp(param->name, c->omit);
        int64_t *dims;
        if (omitted && !c->instead)
            continue;
        struct weir_safetensors_decl *decl = &decls[n++];
        assert_ok(weir_arena_alloc(arena, 4, sizeof *dims, &dims));
        memcpy(dims, param->shape.dims, sizeof param->shape.dims);
        *decl = (struct weir_safetensors_decl){NULL, c->dtype, param->shape.n_dims, dims};
        assert_ok(weir_arena_printf(arena, &decl->name, "%s%s", c->prefix, omitted ? c->instead : param->name));
        if (c->misshapen && !strcmp(c->misshapen, param->name)) {
            int64_t last = decl->n_dims > 1 ? dims[1] : 1;
            decl->n_dims = 2;
            dims[1] = dims[0];
            dims[0] = last == 1 ? dims[1] : last;
            dims[1] = last == 1 ? 1 : dims[1];
        }
    }
    if (c->extra)
        decls[n++] = (struct weir_safetensors_decl){c->extra, c->dtype, 4, dims_mask};
    return n;
}

/* Element k of every tensor is 1 + k / 4 as far as 16 bits hold it: bit patterns are made by hand. */
static void values_write(weir_safetensors_writer *writer, const struct weir_safetensors_decl *decls, int n)
{
    for (int i = 0; i < n; i++) {
        size_t elements = 1;
        for (int d = 0; d < decls[i].n_dims; d++)
            elements *= (size_t)decls[i].dims[d];
        for (size_t k = 0; k < elements; k++) {
            float value = 1 + (float)(k % 4) / 4; /* 1, 1.25, 1.5, 1.75: the two highest bits of the fraction */
            uint16_t half = (uint16_t)(0x3c00 + 0x100 * (k % 4)), brain = (uint16_t)(0x3f80 + 0x20 * (k % 4));
            bool is_half = decls[i].dtype == WEIR_SAFETENSORS_F16, is_brain = decls[i].dtype == WEIR_SAFETENSORS_BF16;
            const void *data = is_half ? (void *)&half : is_brain ? (void *)&brain : (void *)&value;
            size_t bytes = is_half || is_brain ? 2 : 4;
            assert_ok(weir_safetensors_write(writer, i, k * bytes, data, bytes));
        }
    }
}

static void changed_write(const struct weir_graph *graph, const struct change *c, const char *path)
{
    struct weir_arena arena = {0};
    struct weir_safetensors_decl decls[64];
    weir_safetensors_writer *writer;
    struct weir_safetensors_spec spec = {.path = path, .tensors = decls};
    spec.n_tensors = decls_make(graph, c, &arena, decls);
    assert_ok(weir_safetensors_create(&spec, &writer));
    values_write(writer, decls, spec.n_tensors);
    assert_ok(weir_safetensors_commit(writer));
    weir_arena_release(&arena);
}

static void a_file_that_does_not_fit_is_named_and_changes_nothing(void **state)
{
    (void)state;
    const char *folder = testing_path("small");
    mkdir(folder, 0777);
    assert_ok(weir_file_write(testing_path("small/config.json"), small, strlen(small)));
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct trainer t, untouched;
        trainer_open(&t, testing_path("small"), 2, 3);
        trainer_open(&untouched, testing_path("small"), 2, 3);
        changed_write(t.graph, &changes[i], testing_path("small/model.safetensors"));
        weir_status status = weir_engine_load_weights(t.engine, testing_path("small"));
        if (status != changes[i].status || (status && !strstr(weir_last_error(), changes[i].words)))
            fail_msg("%s: got %d, '%s'", changes[i].sentence, (int)status, weir_last_error());
        assert_int_equal(same_params(&t, &untouched), status != WEIR_OK);
        for (int p = 0; !status && p < t.graph->n_params; p++)
            for (int64_t k = 0; k < weir_shape_elements(&t.graph->params[p].shape); k++)
                assert_true(param_values(&t, p)[k] == 1 + (float)(k % 4) / 4);
        trainer_close(&t);
        trainer_close(&untouched);
    }
}

static char logged[1024];

static void log_keep(enum weir_log_level level, const char *message, void *context)
{
    (void)context;
    assert_int_equal(level, WEIR_LOG_WARN);
    assert_string_equal(logged, ""); /* one line at most */
    snprintf(logged, sizeof logged, "%s", message);
}

/* A right file whose table has `rows` rows, with a head beside it where `head_rows` > 0; `changed` != 0: the last row of the
 * vocabulary is another one in the head. */
static void tables_write(const struct weir_graph *graph, int64_t rows, int64_t head_rows, float changed, const char *path)
{
    static const struct change none = {"", "", NULL, NULL, NULL, NULL, WEIR_SAFETENSORS_F32, 0, ""};
    struct weir_arena arena = {0};
    struct weir_safetensors_decl decls[64];
    weir_safetensors_writer *writer;
    struct weir_safetensors_spec spec = {.path = path, .tensors = decls};
    const int64_t table[] = {rows, 2}, head[] = {head_rows, 2};
    spec.n_tensors = decls_make(graph, &none, &arena, decls);
    assert_string_equal(decls[0].name, "wte.weight");
    decls[0].dims = table;
    if (head_rows)
        decls[spec.n_tensors++] = (struct weir_safetensors_decl){"lm_head.weight", WEIR_SAFETENSORS_F32, 2, head};
    assert_ok(weir_safetensors_create(&spec, &writer));
    values_write(writer, decls, spec.n_tensors);
    if (changed != 0)
        assert_ok(weir_safetensors_write(writer, spec.n_tensors - 1, 4 * (2 * 10 - 1), &changed, sizeof changed));
    assert_ok(weir_safetensors_commit(writer));
    weir_arena_release(&arena);
}

static weir_status tables_load(int64_t rows, int64_t head_rows, float changed)
{
    struct trainer t;
    const char *path = testing_path("tables.safetensors");
    mkdir(testing_path("small"), 0777);
    assert_ok(weir_file_write(testing_path("small/config.json"), small, strlen(small)));
    trainer_open(&t, testing_path("small"), 2, 3);
    tables_write(t.graph, rows, head_rows, changed, path);
    logged[0] = 0;
    weir_log_set(log_keep, NULL);
    weir_status status = weir_engine_load_weights(t.engine, path);
    weir_log_set(NULL, NULL);
    for (int64_t k = 0; !status && k < 20; k++)
        assert_true(param_values(&t, 0)[k] == 1 + (float)(k % 4) / 4);
    trainer_close(&t);
    return status;
}

static void a_head_beside_its_tied_table_must_be_the_same(void **state)
{
    (void)state;
    assert_ok(tables_load(10, 10, 0));
    assert_string_equal(logged, "");
    assert_fails(tables_load(10, 10, 7), WEIR_ERR_INVALID, "tensors 'wte.weight' and 'lm_head.weight' differ, and config.json ties "
                                                           "them: with 'tie_word_embeddings' false both are read");
}

static void rows_that_pad_a_vocabulary_are_not_read_and_said(void **state)
{
    (void)state;
    assert_ok(tables_load(16, 0, 0));
    assert_non_null(strstr(logged, "tensor 'wte.weight' has 16 rows for a vocabulary of 10: the rest is padding and is not read"));
    assert_ok(tables_load(10, 1024, 0));
    assert_non_null(strstr(logged, "tensor 'lm_head.weight' has 1024 rows for a vocabulary of 10"));
    assert_fails(tables_load(10, 16, 7), WEIR_ERR_INVALID, "differ"); /* a row of the vocabulary */
    assert_fails(tables_load(15, 0, 0), WEIR_ERR_INVALID, "tensor 'wte.weight' is (15, 2), parameter 'wte.weight' is (10, 2), in "
                                                          "config.json (vocab_size, n_embd)");
    assert_fails(tables_load(1040, 0, 0), WEIR_ERR_INVALID, "tensor 'wte.weight' is (1040, 2)");
    assert_fails(tables_load(8, 0, 0), WEIR_ERR_INVALID, "tensor 'wte.weight' is (8, 2)");
}

/* Loaded and said, or refused: by the files of others. */
static void files_of_tied_models_that_people_have_are_read_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *words; /* words: NULL when it is read */
    } rows[] = {{"reference/cases/tied/head-only", NULL},
                {"reference/cases/tied/both-different",
                 "tensors 'transformer.wte.weight' and 'lm_head.weight' differ, and config.json ties them"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct trainer t;
        const char *folder = testing_data_path(rows[i].name);
        if (!folder)
            skip();
        trainer_open(&t, folder, 2, 3);
        weir_status status = weir_engine_load_weights(t.engine, folder);
        if (rows[i].words)
            assert_fails(status, WEIR_ERR_INVALID, rows[i].words);
        else
            assert_ok(status);
        trainer_close(&t);
    }
    const struct weir_model_kind *kind;
    struct weir_arena arena = {0};
    const char *rope = testing_data_path("reference/cases/rope/both-differ");
    if (rope)
        assert_fails(weir_model_open(rope, &arena, &kind), WEIR_ERR_INVALID, "'rope_scaling' and 'rope_parameters' are both there");
    weir_arena_release(&arena);
}

/* y = x W with W (in, out) in the blocks, (out, in) in the head; tests/engine/checkpoint/test_hf_parity.c holds the values to it. */
static void linear_weights_have_the_layout_of_the_file(void **state)
{
    (void)state;
    struct trainer t;
    trainer_open(&t, "gpt2-tiny", 1, 1);
    int attn = 0, head = 0;
    const struct weir_linear_attr *attr[2];
    for (int n = 0; n < t.graph->n_nodes; n++) {
        attn = strcmp(t.graph->nodes[n].name, "h.0.attn.c_attn") ? attn : n;
        head = strcmp(t.graph->nodes[n].name, "lm_head") ? head : n;
    }
    assert_ptr_equal(t.graph->nodes[attn].op, &weir_op_linear);
    assert_ptr_equal(t.graph->nodes[head].op, &weir_op_linear);
    attr[0] = t.graph->nodes[attn].shapes.attr, attr[1] = t.graph->nodes[head].shapes.attr;
    assert_true(attr[0]->in_out);
    assert_int_equal(t.graph->nodes[attn].shapes.params[0].dims[0], 128);
    assert_int_equal(t.graph->nodes[attn].shapes.params[0].dims[1], 384);
    assert_false(attr[1]->in_out);
    trainer_close(&t);
}

static void what_cannot_be_exported_says_so_first(void **state)
{
    (void)state;
    struct trainer t;
    trainer_open(&t, "mlp", 1, 1);
    assert_fails(export_check(&t, testing_path("mlp")), WEIR_ERR_UNSUPPORTED, "'mlp' has no Hugging Face form");
    assert_fails(export_write(&t, testing_path("mlp")), WEIR_ERR_UNSUPPORTED, "no Hugging Face form");
    assert_int_not_equal(access(testing_path("mlp"), F_OK), 0);
    trainer_close(&t);
    trainer_open(&t, "gpt2-tiny", 1, 1);
    assert_fails(export_check(&t, testing_path("no/folder")), WEIR_ERR_IO, "cannot make folder");
    assert_ok(weir_file_write(testing_path("file"), "x", 1));
    assert_fails(export_check(&t, testing_path("file")), WEIR_ERR_IO, "cannot make folder");
    assert_fails(export_check(&t, "/proc"), WEIR_ERR_IO, "cannot write '/proc/model.safetensors'");
    assert_fails(weir_engine_load_weights(t.engine, testing_path("none")), WEIR_ERR_IO, "cannot open");
    assert_ok(export_check(&t, testing_path("fresh")));
    assert_int_equal(mkdir(testing_path("fresh"), 0777), 0);
    assert_int_equal(mkdir(testing_path("fresh/config.json"), 0777), 0);
    assert_fails(export_check(&t, testing_path("fresh")), WEIR_ERR_IO, "fresh/config.json': Is a directory");
    trainer_close(&t);
}

static void a_limit_on_files_is_known_before_training(void **state)
{
    (void)state;
    struct trainer t;
    struct rlimit old, limited;
    trainer_open(&t, "gpt2-tiny", 1, 1);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limited = old;
    limited.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limited), 0);
    weir_status status = export_check(&t, testing_path("limited"));
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, WEIR_ERR_IO);
    assert_non_null(strstr(weir_last_error(), "files may have 1000 (ulimit -f)"));
    struct weir_export_text huge = {.name = "tokenizer.json", .bytes = (size_t)1 << 62};
    assert_fails(weir_export_place_check(testing_dir(), &(struct weir_export_plan){.n_texts = 1, .texts = &huge}), WEIR_ERR_IO,
                 "bytes, the disk has ");
    trainer_close(&t);
}

static void an_export_folder_knows_its_owner(void **state)
{
    (void)state;
    struct trainer t;
    const char *dir = testing_path("owned");
    trainer_open(&t, "gpt2-tiny", 1, 1);
    assert_int_equal(weir_export_owner(dir), WEIR_EXPORT_NOBODY);
    assert_int_equal(mkdir(dir, 0777), 0);
    assert_ok(weir_file_write(testing_path("owned/notes"), "mine", 4));
    assert_int_equal(weir_export_owner(dir), WEIR_EXPORT_NOBODY);
    assert_ok(weir_file_write(testing_path("owned/config.json"), "{}", 2));
    assert_int_equal(weir_export_owner(dir), WEIR_EXPORT_OTHERS);
    assert_ok(export_write(&t, dir));
    assert_int_equal(weir_export_owner(dir), WEIR_EXPORT_WEIR);
    assert_ok(weir_file_write(testing_path("owned/model.safetensors"), "no weights", 10));
    assert_int_equal(weir_export_owner(dir), WEIR_EXPORT_OTHERS);
    trainer_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_exported_is_imported_to_the_bit),
        cmocka_unit_test(training_goes_on_from_imported_weights),
        cmocka_unit_test(gradients_are_whole_whatever_the_layout),
        cmocka_unit_test(a_file_that_does_not_fit_is_named_and_changes_nothing),
        cmocka_unit_test(a_head_beside_its_tied_table_must_be_the_same),
        cmocka_unit_test(rows_that_pad_a_vocabulary_are_not_read_and_said),
        cmocka_unit_test(files_of_tied_models_that_people_have_are_read_or_refused),
        cmocka_unit_test(linear_weights_have_the_layout_of_the_file),
        cmocka_unit_test(what_cannot_be_exported_says_so_first),
        cmocka_unit_test(a_limit_on_files_is_known_before_training),
        cmocka_unit_test(an_export_folder_knows_its_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
