/* Forwards alone, and values of nodes that are kept: the same bits on every layout.
 *
 * With an argument the program is one process of a run. */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "include/weir/weir.h"
#include "models/model_kinds.h"
#include "tests/support/launched_rig.h"
#include "tests/support/logit_tap.h"

enum { MICROBATCHES = 4, BATCH = 2, SEQ = 8, WIDTH = 128, VOCABULARY = 256, FETCHES = 4 };
enum { PER_HIDDEN = BATCH * SEQ * WIDTH, PER_LOGITS = BATCH * SEQ * VOCABULARY };

static const char *self;
static const char *const fetches[FETCHES] = {"lm_head", "h.1.mlp.residual", "loss", "embed"};

/* What all micro-batches of a run have. */
struct values {
    float logits[MICROBATCHES * PER_LOGITS], hidden[MICROBATCHES * PER_HIDDEN], embedded[MICROBATCHES * PER_HIDDEN], losses[MICROBATCHES];
};

struct setup {
    struct weir_arena arena;
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    struct weir_engine_config config;
    weir_engine *engine;
};

/* `replicas` share the micro-batches. */
static void setup_make(struct setup *s, const char *schedule, int stages, int replicas, const char *transport, enum weir_compute dtype)
{
    memset(s, 0, sizeof *s);
    struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ, .dropout = 0.2};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &s->arena, &s->graph));
    int slices = strcmp(schedule, "seq1f1b") ? 0 : 2;
    assert_ok(weir_pipeline_schedule_slices(schedule, stages, 0, MICROBATCHES / replicas, slices, &s->arena, &s->schedule));
    s->config = (struct weir_engine_config)WEIR_ENGINE_CONFIG_DEFAULT;
    s->config.graph = s->graph;
    s->config.schedule = &s->schedule;
    s->config.replicas = replicas;
    s->config.transport = transport;
    s->config.dtype = dtype;
    s->config.evaluates = true;
    s->config.fetches = fetches;
    s->config.n_fetches = FETCHES;
}

static void setup_open(struct setup *s, const char *schedule, int stages, int replicas, const char *transport, enum weir_compute dtype)
{
    setup_make(s, schedule, stages, replicas, transport, dtype);
    assert_ok(weir_engine_open(&s->config, &s->engine));
}

static void setup_close(struct setup *s)
{
    weir_engine_close(s->engine);
    weir_arena_release(&s->arena);
}

static void feed(const struct setup *s, bool targets)
{
    int32_t numbers[BATCH * SEQ];
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        for (int i = 0; i < BATCH * SEQ; i++)
            numbers[i] = (i * 11 + mb * 5) % VOCABULARY;
        assert_ok(weir_engine_feed(s->engine, "tokens", mb, numbers));
        for (int i = 0; i < BATCH * SEQ; i++)
            numbers[i] = (i * 3 + mb) % VOCABULARY;
        if (targets)
            assert_ok(weir_engine_feed(s->engine, "targets", mb, numbers));
    }
}

static void values_fetch(const struct setup *s, struct values *v)
{
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        assert_ok(weir_engine_fetch(s->engine, "lm_head", mb, v->logits + mb * PER_LOGITS, PER_LOGITS));
        assert_ok(weir_engine_fetch(s->engine, "h.1.mlp.residual", mb, v->hidden + mb * PER_HIDDEN, PER_HIDDEN));
        assert_ok(weir_engine_fetch(s->engine, "embed", mb, v->embedded + mb * PER_HIDDEN, PER_HIDDEN));
        assert_ok(weir_engine_fetch(s->engine, "loss", mb, v->losses + mb, 1));
    }
}

/* After a step, so that every slot, activation and sum has held something else. */
static void values_make(const char *schedule, int stages, int replicas, const char *transport, enum weir_compute dtype,
                        struct values *v, double *loss_out)
{
    struct setup s;
    struct weir_step_report report;
    setup_open(&s, schedule, stages, replicas, transport, dtype);
    feed(&s, true);
    assert_ok(weir_engine_step(s.engine, 0, &report)); /* parameters stay */
    feed(&s, true);
    assert_ok(weir_engine_evaluate(s.engine, loss_out));
    values_fetch(&s, v);
    setup_close(&s);
}

static struct values one, other; /* too large for a stack */

static void values_are_the_same_bits_on_every_layout(void **state)
{
    (void)state;
    static const struct {
        const char *schedule;
        int stages, replicas;
    } rows[] = {{"1f1b", 3, 1}, {"zbv", 4, 1}, {"gpipe", 2, 2}, {"chimera", 2, 1}, {"zb-h1", 2, 2}};
    for (int dtype = 0; dtype < 2; dtype++) {
        enum weir_compute compute = dtype ? WEIR_COMPUTE_BF16 : WEIR_COMPUTE_F32;
        double loss, other_loss, sum = 0;
        values_make("gpipe", 1, 1, NULL, compute, &one, &loss);
        for (int mb = 0; mb < MICROBATCHES; mb++)
            sum += (double)one.losses[mb];
        assert_true(fabs(sum / (MICROBATCHES * BATCH * SEQ) - loss) < 1e-5);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            memset(&other, 0, sizeof other);
            values_make(rows[i].schedule, rows[i].stages, rows[i].replicas, NULL, compute, &other, &other_loss);
            if (memcmp(&one, &other, sizeof one) != 0)
                fail_msg("%s on %d stages: other values", rows[i].schedule, rows[i].stages);
        }
    }
}

/* A loss row that copies what it is given sees the same logits in a step without dropout. */
static void fetched_logits_are_those_that_the_loss_is_made_of(void **state)
{
    (void)state;
    struct setup s;
    struct logit_tap tap;
    struct weir_step_report report;
    memset(&s, 0, sizeof s);
    struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &s.arena, &s.graph));
    assert_ok(weir_pipeline_schedule("1f1b", 2, 0, MICROBATCHES, &s.arena, &s.schedule));
    assert_ok(logit_tap_open(s.graph, MICROBATCHES, &s.arena, &tap));
    s.config = (struct weir_engine_config)WEIR_ENGINE_CONFIG_DEFAULT;
    s.config.graph = &tap.graph;
    s.config.schedule = &s.schedule;
    assert_ok(weir_engine_open(&s.config, &s.engine));
    feed(&s, true);
    assert_ok(weir_engine_step(s.engine, 0, &report));
    assert_int_equal(tap.n, MICROBATCHES * PER_LOGITS);
    memcpy(one.logits, tap.logits, sizeof one.logits);
    setup_close(&s);
    setup_open(&s, "1f1b", 3, 1, NULL, WEIR_COMPUTE_F32);
    feed(&s, false);
    assert_ok(weir_engine_forward(s.engine)); /* without targets */
    values_fetch(&s, &other);
    assert_memory_equal(one.logits, other.logits, sizeof one.logits);
    setup_close(&s);
}

static void only_values_that_are_kept_can_be_fetched(void **state)
{
    (void)state;
    struct setup s;
    struct weir_step_report report;
    float value[PER_HIDDEN];
    setup_open(&s, "1f1b", 2, 1, NULL, WEIR_COMPUTE_F32);
    assert_fails(weir_engine_fetch(s.engine, "embed", 0, value, PER_HIDDEN), WEIR_ERR_USAGE, "no value of node 'embed' yet");
    assert_fails(weir_engine_forward(s.engine), WEIR_ERR_USAGE, "input 'tokens' of micro-batch 0 was not fed");
    feed(&s, false);
    double loss;
    assert_fails(weir_engine_evaluate(s.engine, &loss), WEIR_ERR_USAGE, "input 'targets' of micro-batch 0 was not fed");
    assert_ok(weir_engine_forward(s.engine));
    assert_fails(weir_engine_fetch(s.engine, "ln_f", 0, value, PER_HIDDEN), WEIR_ERR_USAGE, "node 'ln_f' is not kept: name it in fetches");
    assert_fails(weir_engine_fetch(s.engine, "embed", MICROBATCHES, value, PER_HIDDEN), WEIR_ERR_INVALID, "micro-batch 4 is out of range");
    assert_fails(weir_engine_fetch(s.engine, "embed", 0, value, 7), WEIR_ERR_INVALID, "has 2048 elements, not 7");
    assert_fails(weir_engine_fetch(s.engine, "embed", 0, NULL, 7), WEIR_ERR_INVALID, "one of them is NULL");
    feed(&s, true);
    assert_ok(weir_engine_step(s.engine, 0.1, &report));
    assert_ok(weir_engine_fetch(s.engine, "embed", 0, value, PER_HIDDEN)); /* of before the step: there until the next forwards */
    setup_close(&s);
}

static void a_list_that_cannot_be_kept_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"lm_haed"}, *const twice[] = {"embed", "embed"};
    static const struct {
        const char *const *names;
        int n, evaluates;
        const char *schedule;
        weir_status status;
        const char *words;
    } rows[] = {{wrong, 1, 1, "1f1b", WEIR_ERR_USAGE, "no node 'lm_haed' to fetch the value of: did you mean 'lm_head'?"},
                {twice, 2, 1, "1f1b", WEIR_ERR_USAGE, "'embed' is named twice"},
                {fetches, 1, 0, "1f1b", WEIR_ERR_USAGE, "set evaluates"},
                {fetches, 1, 1, "seq1f1b", WEIR_ERR_UNSUPPORTED, "sequences in slices"},
                {NULL, 1, 1, "1f1b", WEIR_ERR_INVALID, "the list is NULL"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct setup s;
        weir_engine *none = NULL;
        setup_make(&s, rows[i].schedule, 2, 1, NULL, WEIR_COMPUTE_F32);
        s.config.fetches = rows[i].names;
        s.config.n_fetches = rows[i].n;
        s.config.evaluates = rows[i].evaluates;
        assert_fails(weir_engine_open(&s.config, &none), rows[i].status, rows[i].words);
        assert_null(none);
        weir_arena_release(&s.arena);
    }
}

/* What is kept stands in the table, to the byte. */
static void kept_values_are_in_the_memory_table(void **state)
{
    (void)state;
    struct setup s;
    struct weir_memory_report with, without;
    setup_open(&s, "1f1b", 2, 1, NULL, WEIR_COMPUTE_F32);
    assert_ok(weir_engine_memory(&s.config, &s.arena, &with));
    s.config.n_fetches = 0;
    assert_ok(weir_engine_memory(&s.config, &s.arena, &without));
    int64_t more = 0, kept = (int64_t)sizeof(float) * MICROBATCHES * (PER_LOGITS + 2 * PER_HIDDEN) + 64 * MICROBATCHES;
    for (int r = 0; r < with.n_ranks; r++)
        more += (int64_t)with.ranks[r].all - (int64_t)without.ranks[r].all;
    assert_true(more >= kept && more < kept + 2 * 64);
    setup_close(&s);
}

/* ---- processes ------------------------------------------------------------------------------------------------------ */

static int process_run(const char *transport)
{
    double loss, other_loss;
    values_make("gpipe", 1, 1, NULL, WEIR_COMPUTE_F32, &one, &loss);
    values_make("1f1b", 2, 2, transport, WEIR_COMPUTE_F32, &other, &other_loss);
    printf("%s\n", memcmp(&one, &other, sizeof one) ? "other bits" : "the same bits");
    return 0;
}

static void every_process_gets_the_values(void **state)
{
    (void)state;
    char text[1 << 14];
    int codes[LAUNCHED_MOST], n = 0, status = launched_run(self, "shm", 4, 250, text, sizeof text, codes);
    for (const char *at = text; (at = strstr(at, "the same bits")); at++)
        n++;
    if (status || n != 4)
        fail_msg("%d: %s", status, text);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1)
        return process_run(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_the_same_bits_on_every_layout),
        cmocka_unit_test(fetched_logits_are_those_that_the_loss_is_made_of),
        cmocka_unit_test(only_values_that_are_kept_can_be_fetched),
        cmocka_unit_test(a_list_that_cannot_be_kept_is_refused),
        cmocka_unit_test(kept_values_are_in_the_memory_table),
        cmocka_unit_test(every_process_gets_the_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
