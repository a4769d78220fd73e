/* Memory of runs on the cuda device, on the stand-in for the CUDA runtime: the table has every byte that is allocated, and
 * what does not fit is refused before anything is.  (No step is run.) */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text_stream.h"
#include "include/weir/weir.h"
#include "fake_cuda.h"
#include "models/model_kinds.h"
#include "schedules/kinds/kinds.h"

enum { MICROBATCHES = 4, BATCH = 2, SEQ = 8, DEVICES = 3, WORKSPACE = 32 << 20, CHUNK = 1 << 20 };
static const size_t taken = 123456789, device_bytes = (size_t)1 << 30; /* taken: by context and others, on device 0 */

struct run {
    const char *device, *schedule;
    int stages, replicas;
    int64_t cap;
};

struct fixture {
    struct weir_arena arena;
    struct weir_schedule schedule;
    struct weir_engine_config config;
    weir_engine *engine;
};

static void config_make(struct fixture *f, const struct run *run)
{
    struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ};
    *f = (struct fixture){.config = WEIR_ENGINE_CONFIG_DEFAULT};
    assert_ok(weir_pipeline_schedule(run->schedule, run->stages, 0, MICROBATCHES, &f->arena, &f->schedule));
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &f->arena, &f->config.graph));
    f->config.schedule = &f->schedule;
    f->config.device = run->device;
    f->config.replicas = run->replicas;
    f->config.device_memory = run->cap;
    f->config.evaluates = true;
}

static void release(struct fixture *f)
{
    weir_engine_close(f->engine);
    weir_arena_release(&f->arena);
}

static void machine_set(size_t bytes)
{
    const struct weir_fake_machine machine = {DEVICES, bytes, 1, WEIR_FAKE_EAGER, 1};
    assert_int_equal(weir_fake_open(), 0);
    weir_fake_machine_set(&machine);
    weir_fake_take(0, taken);
}

/* ---- the table ----------------------------------------------------------------------------------------------------- */

static char *table_of(const weir_engine *engine)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_ok(weir_engine_print_memory(engine, weir_text_to_file, out));
    fclose(out);
    return text;
}

/* The number behind `words` in the line that begins with `start`; SIZE_MAX when there is no such line. */
static size_t number_in(const char *table, const char *start, const char *words)
{
    for (const char *line = table; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *at = strncmp(line, start, strlen(start)) ? NULL : strstr(line, words);
        if (at && at < line + strcspn(line, "\n"))
            return strtoull(at + strlen(words), NULL, 10);
    }
    return SIZE_MAX;
}

/* What stands in the table for the host, and is CUDA's: the sum of the rows "N host BYTES what".  Addresses of kernel calls are not. */
static size_t host_sum(const char *table)
{
    size_t sum = 0;
    for (const char *line = table; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        int rank, at = 0;
        const char *addresses = strstr(line, "addresses of kernel calls"), *end = line + strcspn(line, "\n");
        bool plain = addresses && addresses < end;
        if (sscanf(line, "%d host %n", &rank, &at) == 1 && at && !plain)
            sum += strtoull(line + at, NULL, 10);
    }
    return sum;
}

static void the_table_has_every_byte_that_is_allocated(void **state)
{
    (void)state;
    static const struct run runs[] = {
        {"cuda:0", "1f1b", 1, 1, 0},
        {"cuda", "1f1b", 3, 1, 0},
        {"cuda:0,cuda:2,cuda:0", "zb-h1", 3, 1, 0},
        {"cuda:1,cuda:0,cuda:0,cuda:1", "1f1b", 2, 2, 0},
    };
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        struct fixture f;
        size_t most;
        machine_set(device_bytes);
        config_make(&f, &runs[i]);
        assert_ok(weir_engine_open(&f.config, &f.engine));
        char *table = table_of(f.engine);
        for (int d = 0; d < DEVICES; d++) {
            char start[16];
            snprintf(start, sizeof start, "cuda:%d: ", d);
            size_t all = number_in(table, start, " all "), bytes = weir_fake_bytes(d, &most) + (d ? 0 : taken);
            assert_int_equal(all == SIZE_MAX ? 0 : all, all == SIZE_MAX && !most ? 0 : bytes);
        }
        assert_int_equal(host_sum(table), weir_fake_bytes(WEIR_FAKE_HOST, &most));
        free(table);
        release(&f);
    }
}

static void ranks_of_one_gpu_share_its_context(void **state)
{
    (void)state;
    struct fixture f;
    machine_set(device_bytes);
    config_make(&f, &(struct run){"cuda:0", "1f1b", 2, 1, 0});
    assert_ok(weir_engine_open(&f.config, &f.engine));
    char *table = table_of(f.engine);
    assert_int_equal(number_in(table, "- cuda:0", "- cuda:0"), taken);
    assert_int_equal(number_in(table, "0 cuda:0", "0 cuda:0"), WORKSPACE);
    assert_int_equal(number_in(table, "1 cuda:0", "1 cuda:0"), WORKSPACE);
    assert_int_equal(number_in(table, "cuda:0: ranks 0 1,", "beside them "), taken + 2 * WORKSPACE);
    free(table);
    release(&f);
}

/* A preview opens no device. */
static void a_preview_says_what_is_measured_later(void **state)
{
    (void)state;
    struct fixture f;
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    machine_set(device_bytes);
    config_make(&f, &(struct run){"cuda:0,cuda:1,cuda:0", "1f1b", 3, 1, 0});
    int64_t calls = weir_fake_calls();
    assert_ok(weir_engine_preview(&f.config, weir_text_to_file, NULL, out));
    fclose(out);
    assert_int_equal(weir_fake_calls(), calls);
    assert_non_null(strstr(text, "- cuda:0    measured at start context"));
    assert_non_null(strstr(text, "- cuda:1    measured at start context"));
    assert_null(strstr(text, "- cuda:2"));
    assert_int_equal(number_in(text, "cuda:0: ranks 0 2,", "beside them "), 2 * WORKSPACE);
    assert_non_null(strstr(text, "and what is measured at start"));
    assert_int_equal(number_in(text, "2 host", "pinned chunk"), 0);
    free(text);
    release(&f);
}

/* ---- what does not fit --------------------------------------------------------------------------------------------- */

static void assert_untouched(void)
{
    size_t most;
    for (int d = WEIR_FAKE_HOST; d < DEVICES; d++) {
        assert_int_equal(weir_fake_bytes(d, &most), 0);
        assert_int_equal(most, 0);
    }
}

/* The smallest GPU that takes the run, found by what it allocates: with less it is refused. */
static void a_gpu_that_is_too_small_is_refused_before_anything_is_allocated(void **state)
{
    (void)state;
    static const struct run runs[] = {
        {"cuda:0", "1f1b", 1, 1, 0}, {"cuda:0", "gpipe", 2, 1, 0}, {"cuda:0,cuda:1", "1f1b", 2, 1, 0}};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        struct fixture f;
        size_t most;
        machine_set(device_bytes);
        config_make(&f, &runs[i]);
        assert_ok(weir_engine_open(&f.config, &f.engine));
        size_t bytes = weir_fake_bytes(0, &most) + taken;
        release(&f);

        machine_set(bytes + 64 * 4096); /* the stand-in gives whole pages */
        config_make(&f, &runs[i]);
        assert_ok(weir_engine_open(&f.config, &f.engine));
        release(&f);

        machine_set(bytes - 1);
        config_make(&f, &runs[i]);
        assert_fails(weir_engine_open(&f.config, &f.engine), WEIR_ERR_NOFIT, "device 'cuda:0' has ");
        assert_int_equal(weir_status_exit_code(WEIR_ERR_NOFIT), 3);
        assert_non_null(strstr(weir_last_error(), "it fits with recompute=full, or with microbatch_size=1"));
        assert_untouched();
        release(&f);

        /* the ways out that are named are ways out */
        config_make(&f, &runs[i]);
        f.config.recompute = "full";
        assert_ok(weir_engine_open(&f.config, &f.engine));
        release(&f);
    }
}

static void a_gpu_without_room_for_anything_is_refused_too(void **state)
{
    (void)state;
    struct fixture f;
    machine_set(taken);
    config_make(&f, &(struct run){"cuda", "1f1b", 2, 1, 0});
    assert_fails(weir_engine_open(&f.config, &f.engine), WEIR_ERR_NOFIT, "device 'cuda:0' has 0.0 MiB free of 117.7");
    assert_non_null(strstr(weir_last_error(), "neither recompute=full"));
    assert_untouched();
    release(&f);
}

/* A rank's workspace counts against --device-memory, the GPU's context does not. */
static void a_cap_counts_all_that_the_rank_takes(void **state)
{
    (void)state;
    struct weir_step_report report;
    struct run run = {"cuda:0", "1f1b", 1, 1, 0};
    int32_t tokens[BATCH * SEQ] = {0};
    struct fixture f;
    machine_set(device_bytes);
    config_make(&f, &run);
    assert_ok(weir_engine_open(&f.config, &f.engine));
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        assert_ok(weir_engine_feed(f.engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(f.engine, "targets", mb, tokens));
    }
    assert_ok(weir_engine_step(f.engine, 0, &report));
    size_t most, bytes = report.peak_bytes[0];
    assert_int_equal(bytes, weir_fake_bytes(0, &most));
    release(&f);
    for (int less = 0; less < 2; less++) {
        run.cap = (int64_t)bytes - less;
        config_make(&f, &run);
        weir_status status = weir_engine_open(&f.config, &f.engine);
        assert_int_equal(status, less ? WEIR_ERR_NOFIT : WEIR_OK);
        release(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_every_byte_that_is_allocated),
        cmocka_unit_test(ranks_of_one_gpu_share_its_context),
        cmocka_unit_test(a_preview_says_what_is_measured_later),
        cmocka_unit_test(a_gpu_that_is_too_small_is_refused_before_anything_is_allocated),
        cmocka_unit_test(a_gpu_without_room_for_anything_is_refused_too),
        cmocka_unit_test(a_cap_counts_all_that_the_rank_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
