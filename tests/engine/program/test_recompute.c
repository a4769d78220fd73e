/* Recomputation: what is kept, what is replayed, and how long replayed values live.   labels: pure
 *
 * That results are the same to the bit is tests/engine/run/test_engine_random.c's. */
#include "engine/program/recomputed.h"
#include "tests/support/program_fixture.h"
#include "tests/support/testing.h"

/* The stage's first layer starts from its slot, and the first layer of all from the tokens. */
static void a_recomputed_stage_keeps_the_inputs_of_its_layers(void **state)
{
    (void)state;
    struct program_fixture f;
    size_t value = 2 * 64 * 128 * sizeof(float), logits = 2 * 64 * 256 * sizeof(float);
    program_fixture_recompute(&f, "gpipe", 4, 0, 8, "full");
    for (int s = 0; s < 4; s++) {
        const struct weir_stage_program *stage = &f.program->stages[s];
        size_t left_by_the_loss = s == 3 ? logits : 0;
        assert_int_equal(stage->act_bytes[0] + stage->act_bytes[1],
                         (size_t)(stage->n_layers - 1) * value + left_by_the_loss);
        assert_int_equal(stage->act_bytes[2], 0);
        assert_int_equal(f.program->ranks[s].bytes[WEIR_MEMORY_ACTIVATIONS],
                         8 * (stage->act_bytes[0] + stage->act_bytes[1]));
    }
    weir_arena_release(&f.arena);
}

/* gpt2-tiny's MLP half reads, in W, the outputs of ln_2 and of GELU and the statistics of the norm: between I and W they
 * are in ACT_IW; c_fc's output, which GELU's I reads, is in scratch. */
static void what_only_the_input_gradient_reads_is_scratch(void **state)
{
    (void)state;
    struct program_fixture all, some;
    program_fixture_recompute(&all, "zb-h1", 2, 0, 4, "none");
    program_fixture_recompute(&some, "zb-h1", 2, 0, 4, "h.0.mlp");
    size_t rows = 2 * 64, hidden = rows * 512 * sizeof(float), normed = rows * 128 * sizeof(float);
    const struct weir_stage_program *a = &all.program->stages[0], *b = &some.program->stages[0];
    assert_int_equal(a->act_bytes[0] - b->act_bytes[0], hidden);
    size_t moved = a->act_bytes[1] - b->act_bytes[1];
    assert_true(moved >= hidden + normed && moved <= hidden + normed + 2 * rows * sizeof(float) + 128);
    assert_int_equal(b->act_bytes[2] - a->act_bytes[2], moved);
    weir_arena_release(&all.arena);
    weir_arena_release(&some.arena);
}

static bool where_is(const struct weir_where *where, const struct weir_where *wanted)
{
    return wanted->place != WEIR_PLACE_NONE && where->place == wanted->place && where->offset == wanted->offset;
}

static bool call_reads(const struct weir_step_call *call, const struct weir_where *where)
{
    bool forward = call->pass == WEIR_FORWARD;
    for (int i = 0; i < WEIR_OP_INPUTS; i++)
        if (where_is(&call->inputs[i], where))
            return true;
    for (int i = 0; i < call->call.n_outputs && !forward; i++)
        if (where_is(&call->outputs[i], where))
            return true;
    return !forward && where_is(&call->saved, where);
}

static bool is_read_later(const struct weir_call_list *list, int from, const struct weir_where *where)
{
    for (int i = from; i < list->n_calls; i++)
        if (call_reads(&list->calls[i], where))
            return true;
    return false;
}

/* Something that the call makes is. */
static bool makes_for_later(const struct weir_call_list *list, int from, const struct weir_step_call *call)
{
    bool read = is_read_later(list, from, &call->saved);
    for (int i = 0; i < call->call.n_outputs; i++)
        read = read || is_read_later(list, from, &call->outputs[i]);
    return read;
}

static int replays_count(const struct weir_stage_program *stage, enum weir_list which)
{
    const struct weir_call_list *list = &stage->lists[which], *later = &stage->lists[WEIR_LIST_W];
    int n = 0;
    for (int i = 0; i < list->n_calls; i++) {
        const struct weir_step_call *call = &list->calls[i];
        if (!call->fn || call->pass != WEIR_FORWARD)
            continue;
        n++;
        assert_false(call->call.op->flags & WEIR_OP_LOSS);
        assert_true(makes_for_later(list, i + 1, call) || makes_for_later(later, 0, call));
    }
    return n;
}

/* A half of a block replays all but its last linear and its sum; the head only its norm; the embedding nothing. */
static void only_what_a_backward_reads_is_replayed(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        int replays;
    } rows[] = {{"none", 0}, {"h.3.mlp", 3}, {"h.3.attn", 3}, {"head", 1}, {"embed", 0}, {"full", 6 * (3 + 3) + 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct program_fixture f, g;
        program_fixture_recompute(&f, "1f1b", 2, 0, 4, rows[i].list);
        program_fixture_recompute(&g, "zb-h1", 2, 0, 4, rows[i].list);
        int full = 0, split = 0;
        for (int s = 0; s < 2; s++) {
            full += replays_count(&f.program->stages[s], WEIR_LIST_B);
            split += replays_count(&g.program->stages[s], WEIR_LIST_I);
            assert_int_equal(replays_count(&g.program->stages[s], WEIR_LIST_W), 0);
        }
        assert_int_equal(full, rows[i].replays);
        assert_int_equal(split, rows[i].replays);
        weir_arena_release(&f.arena);
        weir_arena_release(&g.arena);
    }
}

static void layers_to_recompute_are_names_and_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        int layers;
    } rows[] = {{NULL, 0}, {"none", 0}, {"full", 14}, {"*", 14}, {"h.*", 12}, {"h.*.mlp", 6}, {"h.[0-2].attn,embed", 4},
                {"head,head", 1}};
    static const struct {
        const char *list, *words;
    } wrong[] = {{"h.9.mlp", "matches 'h.9.mlp': did you mean 'h.0.mlp'?"},
                 {"h.*,tail", "matches 'tail': gpt2-tiny has 14 layers, 'embed', 'h.0.attn', 'h.0.mlp' ..."},
                 {"ful", "did you mean 'full'?"},
                 {"head,", "empty entry"},
                 {"", "empty entry"}};
    struct program_fixture f;
    bool *layers;
    program_fixture_build(&f, "1f1b", 1, 0, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_ok(weir_recomputed_layers(f.graph, rows[i].list, &f.arena, &layers));
        int n = 0;
        for (int l = 0; l < f.graph->n_layers; l++)
            n += layers[l];
        assert_int_equal(n, rows[i].layers);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_fails(weir_recomputed_layers(f.graph, wrong[i].list, &f.arena, &layers), WEIR_ERR_USAGE, wrong[i].words);
    weir_arena_release(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recomputed_stage_keeps_the_inputs_of_its_layers),
        cmocka_unit_test(what_only_the_input_gradient_reads_is_scratch),
        cmocka_unit_test(only_what_a_backward_reads_is_replayed),
        cmocka_unit_test(layers_to_recompute_are_names_and_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
