/* The compiler: packing, places and the order of instructions, held to what they promise.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "engine/program/compile.h"
#include "engine/program/deps.h"
#include "engine/program/pack.h"
#include "kernels/op_rows.h"
#include "models/model_kinds.h"
#include "schedules/schedule_kinds.h"
#include "tests/support/program_fixture.h"

static bool alive_together(const struct weir_pack_item *a, const struct weir_pack_item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static void packed_buffers_never_overlap_while_alive(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 200; round++) {
        struct weir_arena arena = {0};
        struct weir_pack_item items[40];
        int n = 1 + (int)(round % 40);
        size_t peak = 0, bytes;
        for (int i = 0; i < n; i++) {
            struct weir_rng_block b = weir_rng_philox(5, (uint32_t)i, round, 0, 0);
            int first = (int)(b.v[0] % 30);
            items[i] = (struct weir_pack_item){b.v[1] % 1000, first, first + (int)(b.v[2] % 10), 0};
        }
        assert_ok(weir_pack(items, n, &arena, &bytes));
        for (int t = 0; t < 40; t++) {
            size_t now = 0;
            for (int i = 0; i < n; i++)
                now += items[i].first <= t && t <= items[i].last ? weir_pack_round(items[i].bytes) : 0;
            peak = now > peak ? now : peak;
        }
        assert_true(bytes >= peak && bytes <= 2 * peak);
        for (int i = 0; i < n; i++)
            for (int k = 0; k < i; k++)
                if (items[i].bytes && items[k].bytes && alive_together(&items[i], &items[k]))
                    assert_true(items[i].offset >= items[k].offset + items[k].bytes ||
                                items[k].offset >= items[i].offset + items[i].bytes);
        weir_arena_release(&arena);
    }
}

/* The order by start, with lives that are short beside the whole, as those of a pipeline are. */
static void many_buffers_are_packed_as_tightly_as_few(void **state)
{
    (void)state;
    enum { MANY = 3 * WEIR_PACK_LARGEST_FIRST };
    struct weir_arena arena = {0};
    struct weir_pack_item *items;
    size_t bytes;
    assert_ok(weir_arena_alloc(&arena, MANY, sizeof *items, &items));
    for (int i = 0; i < MANY; i++)
        items[i] = (struct weir_pack_item){i % 3 ? 640 : 1280, i, i + 5, 0};
    assert_ok(weir_pack(items, MANY, &arena, &bytes));
    assert_true(bytes >= 6 * 640 + 2 * 640 && bytes <= 2 * (6 * 640 + 2 * 640));
    for (int i = 0; i < MANY; i++)
        for (int k = i - 5 > 0 ? i - 5 : 0; k < i; k++)
            assert_true(items[i].offset >= items[k].offset + items[k].bytes ||
                        items[k].offset >= items[i].offset + items[i].bytes);
    weir_arena_release(&arena);
}

static void gpt2_tiny_has_14_layers_and_ties_the_embedding(void **state)
{
    (void)state;
    struct program_fixture f;
    program_fixture_build(&f, "1f1b", 1, 0, 2);
    assert_int_equal(f.graph->n_layers, 14);
    assert_string_equal(f.graph->params[0].name, "wte.weight");
    assert_int_equal(f.graph->params[0].n_uses, 2);
    /* 6 blocks of 12 C^2 + 13 C, final norm 2 C, tables (256 + 64) C, C = 128 */
    assert_int_equal(weir_graph_n_elements(f.graph), 6 * (12 * 128 * 128 + 13 * 128) + 2 * 128 + 320 * 128);
    weir_arena_release(&f.arena);
}

/* Parameters as counted in the released models: 124,439,808 and so on (their position tables included). */
static void the_published_sizes_have_the_published_numbers_of_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t parameters;
        int layers;
    } rows[] = {{"gpt2", 124439808, 26},
                {"gpt2-medium", 354823168, 50},
                {"gpt2-large", 774030080, 74},
                {"gpt2-xl", 1557611200, 98}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_arena arena = {0};
        const struct weir_model_kind *kind;
        const struct weir_graph *graph;
        struct weir_model_params params = {.microbatch_size = 1};
        assert_ok(weir_model_find(rows[i].name, &kind));
        assert_ok(weir_model_build(kind, &params, &arena, &graph));
        assert_int_equal(weir_graph_n_elements(graph), rows[i].parameters);
        assert_int_equal(graph->n_layers, rows[i].layers);
        weir_arena_release(&arena);
    }
}

static void every_event_is_signalled_before_it_is_awaited(void **state)
{
    (void)state;
    for (int stages = 1; stages <= 14; stages++)
        for (int m = 1; m <= 9; m += 4) {
            struct program_fixture f;
            program_fixture_build(&f, m == 5 ? "gpipe" : "1f1b", stages, 0, m);
            bool *signalled = calloc((size_t)f.program->n_events + 1, 1);
            int *next = calloc((size_t)f.program->n_ranks, sizeof *next);
            for (int i = 0; i < f.program->n_order; i++) {
                struct weir_order_entry at = f.program->order[i];
                assert_int_equal(at.instr, next[at.rank]++);
                const struct weir_instr *instr = &f.program->ranks[at.rank].instrs[at.instr];
                for (int w = 0; w < instr->n_waits; w++)
                    assert_true(signalled[instr->waits[w]]);
                if (instr->signal >= 0) {
                    assert_false(signalled[instr->signal]);
                    signalled[instr->signal] = true;
                }
            }
            for (int r = 0; r < f.program->n_ranks; r++)
                assert_int_equal(next[r], f.program->ranks[r].n_instrs);
            free(signalled);
            free(next);
            weir_arena_release(&f.arena);
        }
}

/* 1F1B holds min(p - r, m) micro-batches on rank r; GPipe holds m on each. */
static void memory_follows_from_the_schedule(void **state)
{
    (void)state;
    struct program_fixture f, g;
    program_fixture_build(&f, "1f1b", 4, 0, 8);
    program_fixture_build(&g, "gpipe", 4, 0, 8);
    for (int r = 0; r < 4; r++) {
        const struct weir_stage_program *s = &f.program->stages[r];
        size_t block = weir_pack_round(s->act_bytes[0]) + weir_pack_round(s->act_bytes[1]);
        assert_int_equal(f.program->ranks[r].bytes[WEIR_MEMORY_ACTIVATIONS], block * (size_t)(4 - r));
        assert_int_equal(g.program->ranks[r].bytes[WEIR_MEMORY_ACTIVATIONS], block * 8);
        assert_int_equal(s->n_ins, r > 0);
        assert_int_equal(s->n_outs, r < 3);
        if (r)
            assert_int_equal(f.program->boundaries[s->ins[0]].inputs.n, 4 - r + 1);
        if (r < 3)
            assert_int_equal(f.program->boundaries[s->outs[0]].gradients.n, 2);
        assert_int_equal(s->act_bytes[2], 0);
    }
    size_t params = 0, state_bytes = 0;
    for (int r = 0; r < 4; r++) {
        params += f.program->ranks[r].bytes[WEIR_MEMORY_PARAMS];
        state_bytes += f.program->ranks[r].bytes[WEIR_MEMORY_OPTIMIZER];
    }
    size_t elements = (size_t)weir_graph_n_elements(f.graph);
    assert_int_equal(params, 4 * (elements + 256 * 128)); /* wte stands on the first and the last rank */
    assert_int_equal(state_bytes, 8 * elements);          /* its state on the first only */
    weir_arena_release(&f.arena);
    weir_arena_release(&g.arena);
}

static void memory_rows_of_one_block_never_overlap_while_alive(void **state)
{
    (void)state;
    struct program_fixture f;
    program_fixture_build(&f, "1f1b", 3, 0, 6);
    for (int i = 0; i < f.program->n_rows; i++)
        for (int k = 0; k < i; k++) {
            const struct weir_memory_row *a = &f.program->rows[i], *b = &f.program->rows[k];
            bool whole_run = a->last < a->first || b->last < b->first;
            bool together = whole_run || (a->first <= b->last && b->first <= a->last);
            if (a->rank == b->rank && a->kind == b->kind && together)
                assert_true(a->offset >= b->offset + b->bytes || b->offset >= a->offset + a->bytes);
        }
    weir_arena_release(&f.arena);
}

/* Also where a stage's results must all be made before the first is used: then there are slots for all of them. */
static void every_built_in_schedule_has_an_order(void **state)
{
    (void)state;
    int n = 0;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++)
        for (int p = 1; p <= 4; p++)
            for (int m = 1; m <= 12; m += m < 4 ? 1 : 4) {
                int v = (*kind)->n_chunks ? (*kind)->n_chunks : (*kind)->default_chunks ? (*kind)->default_chunks : 1;
                struct program_fixture f;
                struct weir_arena arena = {0};
                struct weir_schedule schedule;
                struct weir_schedule_params params = {.n_ranks = p, .n_chunks = v, .n_microbatches = m};
                bool runs = strcmp((*kind)->name, "inference") != 0 &&
                            weir_schedule_build(*kind, &params, &arena, &schedule) == WEIR_OK;
                weir_arena_release(&arena);
                if (!runs)
                    continue;
                program_fixture_build(&f, (*kind)->name, p * v, v, m);
                assert_int_equal(f.program->n_ranks, p);
                weir_arena_release(&f.arena);
                n++;
            }
    assert_true(n > 200);
    struct program_fixture f;
    program_fixture_build(&f, "bfs", 4, 2, 8);
    assert_true(f.program->boundaries[f.program->stages[1].outs[0]].gradients.n > 2);
    weir_arena_release(&f.arena);
}

/* ---- circles ------------------------------------------------------------------------------------------------------- */

/* The schedule was not checked: rank 0 ends micro-batch 0 before it begins the other, which rank 1 begins with. */
static void a_circle_is_named_from_rank_to_rank_with_its_reasons(void **state)
{
    (void)state;
    struct program_fixture f;
    struct weir_schedule schedule;
    struct weir_program *program;
    static const char csv[] = "0F0,0B0,0F1,0B1\n1F1,1F0,1B0,1B1\n";
    program_fixture_build(&f, "1f1b", 2, 0, 2);
    assert_ok(weir_schedule_csv_parse(csv, strlen(csv), "circle", WEIR_CSV_TORCH, &f.arena, &schedule));
    struct weir_program_params params = {.graph = f.graph, .schedule = &schedule, .n_threads = 1};
    params.input_slots = params.gradient_slots = (int[]){2, 2};
    params.first_layer = (int[]){0, 7, 14};
    assert_fails(weir_program_build(&params, &f.arena, &program), WEIR_ERR_INVALID,
                 "waits in a circle, another schedule or another number of micro-batches is needed: "
                 "rank 0 waits in 0B0 for 1B0 of rank 1 (gradient); rank 1 waits in 1F1 for 0F1 of rank 0 (input)");
    weir_arena_release(&f.arena);
}

static struct weir_dep *dep_find(struct weir_program *program, enum weir_dep_why why)
{
    for (int d = 0; d < program->n_deps; d++)
        if (program->deps[d].why == why)
            return &program->deps[d];
    fail();
    return NULL;
}

/* A program whose slot is freed too late: weir_program_build() would give it more slots. */
static void a_circle_through_slots_says_how_many_there_are(void **state)
{
    (void)state;
    struct program_fixture f;
    program_fixture_build(&f, "1f1b", 2, 0, 4);
    struct weir_compile c = {.program = f.program, .arena = &f.arena};
    dep_find(f.program, WEIR_DEP_INPUT_SLOT)->from_instr = 5; /* 0F2 awaits 1B2, which comes after 1F2 */
    f.program->n_order = 0;
    assert_fails(weir_compile_order(&c), WEIR_ERR_INVALID,
                 "rank 0 waits in 0F2 (end) for 1B2 (start) of rank 1 (input slot, of which stage 1 has 2); rank 1 waits in "
                 "1F2 for 0F2 (end) of rank 0 (input)");
    assert_true(c.circle);
    weir_arena_release(&f.arena);
}

/* ---- REDUCE_GRAD --------------------------------------------------------------------------------------------------- */

static bool is_placed(const struct weir_schedule_rank *list, int stage)
{
    for (size_t a = 0; a < list->n_actions; a++)
        if (list->actions[a].type == WEIR_REDUCE_GRAD && list->actions[a].stage == stage)
            return true;
    return false;
}

static bool has_buckets(const struct weir_rank_program *rank, int stage)
{
    for (int b = 0; b < rank->n_buckets; b++)
        if (rank->buckets[b].stage == stage)
            return true;
    return false;
}

/* What a list says in words: "F 2 3", "reduce 2"; of a program only what the schedule can say. */
static int schedule_words(const struct weir_rank_program *rank, const struct weir_schedule_rank *list, char words[][24])
{
    int n = 0;
    for (size_t a = 0; a < list->n_actions; a++) {
        const struct weir_action *action = &list->actions[a];
        if (action->type != WEIR_REDUCE_GRAD)
            snprintf(words[n++], 24, "%c %d %d", "FIWB"[action->type], action->stage, action->mb);
        else if (has_buckets(rank, action->stage))
            snprintf(words[n++], 24, "reduce %d", action->stage);
    }
    return n;
}

static int program_words(const struct weir_rank_program *rank, const struct weir_schedule_rank *list, char words[][24])
{
    int n = 0, stage = -1;
    for (int i = 0; i < rank->n_instrs; i++) {
        const struct weir_instr *instr = &rank->instrs[i];
        if (instr->kind == WEIR_INSTR_ACTION && !instr->first_call)
            snprintf(words[n++], 24, "%c %d %d", "FIWB"[instr->list], instr->stage, instr->mb);
        int reduced = instr->kind == WEIR_INSTR_REDUCE ? rank->buckets[instr->bucket].stage : -1;
        if (reduced >= 0 && reduced != stage && is_placed(list, reduced))
            snprintf(words[n++], 24, "reduce %d", reduced);
        stage = reduced; /* all buckets of a stage are one word */
    }
    return n;
}

static void reductions_of_a_schedule_stand_where_it_has_them(void **state)
{
    (void)state;
    int n_placed = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct program_fixture f;
        char expected[300][24], found[300][24];
        program_fixture_random(&f, seed);
        for (int r = 0; r < f.program->n_ranks; r++) {
            const struct weir_schedule_rank *list = &f.schedule.ranks[r];
            int n = schedule_words(&f.program->ranks[r], list, expected);
            assert_int_equal(program_words(&f.program->ranks[r], list, found), n);
            for (int i = 0; i < n; i++) {
                assert_string_equal(found[i], expected[i]);
                n_placed += expected[i][0] == 'r';
            }
        }
        weir_arena_release(&f.arena);
    }
    assert_true(n_placed > 100);
}

/* Every bucket is reduced once, whether the schedule says where or not. */
static void every_bucket_is_reduced_once(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct program_fixture f;
        program_fixture_random(&f, seed);
        for (int r = 0; r < f.program->n_ranks; r++)
            for (int b = 0; b < f.program->ranks[r].n_buckets; b++) {
                int n = 0;
                for (int i = 0; i < f.program->ranks[r].n_instrs; i++)
                    n += f.program->ranks[r].instrs[i].kind == WEIR_INSTR_REDUCE && f.program->ranks[r].instrs[i].bucket == b;
                assert_int_equal(n, 1);
            }
        weir_arena_release(&f.arena);
    }
}

/* check finds it too; here the schedule was not checked. */
static void a_reduction_before_its_gradients_are_complete_is_refused(void **state)
{
    (void)state;
    struct program_fixture f;
    struct weir_schedule schedule;
    struct weir_program *program;
    static const char csv[] = "0F0,0F1,0B0,0REDUCE_GRAD,0B1\n1F0,1B0,1F1,1B1\n";
    program_fixture_build(&f, "1f1b", 2, 0, 2);
    assert_ok(weir_schedule_csv_parse(csv, strlen(csv), "early", WEIR_CSV_TORCH, &f.arena, &schedule));
    struct weir_program_params params = {.graph = f.graph, .schedule = &schedule, .n_threads = 1, .n_replicas = 2};
    params.input_slots = params.gradient_slots = (int[]){2, 2};
    params.first_layer = (int[]){0, 7, 14};
    assert_fails(weir_program_build(&params, &f.arena, &program), WEIR_ERR_INVALID,
                 "row 1: 0REDUCE_GRAD stands before the last W or B of its stage");
    weir_arena_release(&f.arena);
}

/* ---- text ---------------------------------------------------------------------------------------------------------- */

static void the_text_of_a_program_says_who_is_awaited_and_why(void **state)
{
    (void)state;
    struct program_fixture f;
    char *text;
    size_t bytes;
    program_fixture_build(&f, "1f1b", 3, 0, 4);
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    weir_program_dump(f.program, out);
    fclose(out);
    assert_non_null(strstr(text, "  after 0F0 of rank 0 (input)  before 2F0 of rank 2 (input)\n"));
    assert_non_null(strstr(text, "  after 2B0 of rank 2 (gradient)  before 0B0 of rank 0 (gradient), 0F3 (end) of rank 0 "
                                 "(input slot), 2B2 (end) of rank 2 (gradient slot)\n"));
    assert_non_null(strstr(text, "  update             calls   0  after gradient norm of rank 0,2 (norm)\n"));
    free(text);
    weir_arena_release(&f.arena);
}

/* ---- calls --------------------------------------------------------------------------------------------------------- */

static void type_check(const struct weir_tensor *tensor, struct weir_where where, int code, int bits)
{
    if (where.place != WEIR_PLACE_NONE && tensor->code != 0 && tensor->bits != 64) /* numbers of a vocabulary, losses */
        assert_true(tensor->code == code && tensor->bits == bits);
}

/* Kernels of a bf16 graph read bf16 copies of parameters and write f32 gradients of them; all other values are bf16. */
static void calls_of_a_bf16_graph_have_its_types(void **state)
{
    (void)state;
    struct program_fixture f;
    program_fixture_bf16(&f, "zb-h1", 2, 0, 4);
    int n_params = 0, n_gradients = 0;
    for (int s = 0; s < 2; s++)
        for (int l = 0; l < WEIR_LISTS; l++)
            for (int k = 0; k < f.program->stages[s].lists[l].n_calls; k++) {
                const struct weir_step_call *t = &f.program->stages[s].lists[l].calls[k];
                for (int i = 0; t->fn && i < t->call.n_inputs; i++) {
                    type_check(&t->call.inputs[i], t->inputs[i], 4, 16);
                    type_check(&t->call.d_inputs[i], t->d_inputs[i], 4, 16);
                }
                for (int i = 0; i < t->call.n_outputs; i++) {
                    type_check(&t->call.outputs[i], t->outputs[i], 4, 16);
                    type_check(&t->call.d_outputs[i], t->d_outputs[i], 4, 16);
                }
                for (int i = 0; t->fn && i < t->call.n_params; i++) {
                    type_check(&t->call.params[i], t->params[i], 4, 16);
                    type_check(&t->call.d_params[i], t->d_params[i], 2, 32);
                    assert_int_equal(t->params[i].place, WEIR_PLACE_COPY);
                    n_params++;
                    n_gradients += t->d_params[i].place == WEIR_PLACE_GRAD;
                }
            }
    assert_true(n_gradients > 0 && n_params > n_gradients);
    weir_arena_release(&f.arena);
}

static void a_partition_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct program_fixture f;
    struct weir_program *program;
    program_fixture_build(&f, "1f1b", 2, 0, 2);
    struct weir_program_params params = {.graph = f.graph, .schedule = &f.schedule, .n_threads = 1};
    params.input_slots = params.gradient_slots = (int[]){2, 2};
    params.first_layer = (int[]){0, 7, 13};
    assert_fails(weir_program_build(&params, &f.arena, &program), WEIR_ERR_INVALID, "the model has 14");
    params.first_layer = (int[]){0, 14, 14};
    assert_fails(weir_program_build(&params, &f.arena, &program), WEIR_ERR_INVALID, "stage 1 of the partition has no");
    weir_arena_release(&f.arena);
}

static void arrivals_count(const struct weir_program *program, size_t *messages, size_t *bytes)
{
    *messages = *bytes = 0;
    for (int d = 0; d < program->n_deps; d++) {
        const struct weir_dep *dep = &program->deps[d];
        if (dep->why != WEIR_DEP_INPUT && dep->why != WEIR_DEP_GRADIENT)
            continue;
        ++*messages;
        for (int k = 0; k < dep->n_regions; k++)
            *bytes += program->regions[dep->first_region + k].bytes;
    }
}

/* Of the U on eight stages, one layer each: fc0 is read by stages 1 and 6, fc1 by 2 and 5, fc2 by 3 and 4. */
static void a_boundary_has_all_that_goes_from_reader_to_reader_and_nothing_else(void **state)
{
    (void)state;
    static const int wanted[][3] = {{0, 1, 1}, {1, 2, 1}, {2, 3, 1}, {3, 4, 2}, {2, 5, 1}, {4, 5, 1}, {1, 6, 1}, {5, 6, 1}, {6, 7, 1}};
    enum { N = sizeof wanted / sizeof wanted[0], MB = 4 };
    struct program_fixture f;
    program_fixture_model(&f, &weir_model_umlp, "1f1b", 8, MB);
    size_t value = weir_shape_bytes(&f.graph->nodes[0].shapes.output), messages, bytes;
    assert_int_equal(f.program->n_boundaries, N);
    for (int b = 0; b < N; b++) {
        const struct weir_boundary *boundary = &f.program->boundaries[b];
        assert_true(boundary->from == wanted[b][0] && boundary->to == wanted[b][1]);
        assert_int_equal(boundary->n_values, wanted[b][2]);
        assert_int_equal(boundary->inputs.bytes, (size_t)wanted[b][2] * value);
        assert_int_equal(boundary->gradients.bytes, (size_t)wanted[b][2] * value);
    }
    arrivals_count(f.program, &messages, &bytes);
    assert_int_equal(messages, 2 * N * MB);
    assert_int_equal(bytes, 2 * (N + 1) * MB * value); /* by way of every stage between it would be 16 values each way, not 10 */
    weir_arena_release(&f.arena);
}

/* What the rank's list has under way at most, from an action of `from` to one of `to`. */
static int most_under_way(const struct weir_program *program, int from, int to, bool forward)
{
    const struct weir_rank_program *rank = &program->ranks[program->stages[from].rank];
    int now = 0, most = 0;
    for (int i = 0; i < rank->n_instrs; i++) {
        const struct weir_instr *instr = &rank->instrs[i];
        bool backward = instr->list == WEIR_LIST_B || instr->list == WEIR_LIST_I;
        if (instr->kind != WEIR_INSTR_ACTION || instr->first_call)
            continue;
        if (instr->stage == from && (forward ? instr->list == WEIR_LIST_F : backward))
            now++;
        most = now > most ? now : most;
        if (instr->stage == to && (forward ? instr->list == WEIR_LIST_B || instr->list == WEIR_LIST_W : backward))
            now--;
    }
    return most;
}

/* A boundary between stages that are no neighbours has one slot more than the larger peak in flight; on one rank what its list needs. */
static void a_long_boundary_has_slots_for_what_is_in_flight(void **state)
{
    (void)state;
    struct program_fixture f;
    program_fixture_model(&f, &weir_model_umlp, "1f1b", 8, 16);
    for (int b = 0; b < f.program->n_boundaries; b++) {
        const struct weir_boundary *boundary = &f.program->boundaries[b];
        bool next = boundary->to == boundary->from + 1;
        assert_int_equal(boundary->inputs.n, next ? 8 - boundary->to + 1 : 8 - boundary->from + 1);
        assert_int_equal(boundary->gradients.n, next ? 2 : 8 - boundary->from + 1);
    }
    weir_arena_release(&f.arena);
    int n = 0;
    program_fixture_model(&f, &weir_model_umlp, "zbv", 8, 16); /* stages s and 7 - s on a rank: the skips cross none */
    for (int b = 0; b < f.program->n_boundaries; b++) {
        const struct weir_boundary *at = &f.program->boundaries[b];
        if (at->to == at->from + 1 || f.program->stages[at->from].rank != f.program->stages[at->to].rank)
            continue;
        assert_int_equal(at->inputs.n, most_under_way(f.program, at->from, at->to, true));
        assert_int_equal(at->gradients.n, most_under_way(f.program, at->to, at->from, false));
        n++;
    }
    assert_int_equal(n, 2); /* 2-5 and 1-6 */
    weir_arena_release(&f.arena);
}

static void a_graph_says_what_is_wrong_with_it(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_graph_builder b;
    const struct weir_graph *graph;
    struct weir_shape rows = {2, {4, 8}, WEIR_DTYPE_F32}, labels = {1, {4}, WEIR_DTYPE_I32};
    struct weir_linear_attr attr = {.out_features = 8};

    weir_graph_begin(&b, "fed by nobody", &arena);
    int x = weir_graph_input(&b, "x", rows), t = weir_graph_input(&b, "t", labels);
    weir_graph_layer(&b, "one");
    weir_graph_node(&b, "y", &weir_op_relu, NULL, 0, 1, &x, 0, NULL);
    weir_graph_layer(&b, "two");
    int s = weir_graph_node(&b, "s", &weir_op_relu, NULL, 0, 1, &x, 0, NULL);
    weir_graph_node(&b, "loss", &weir_op_cross_entropy, NULL, 0, 2, (int[]){s, t}, 0, NULL);
    assert_fails(weir_graph_finish(&b, &graph), WEIR_ERR_INVALID, "layer 'two' and those behind it take nothing from the layers before");

    weir_graph_begin(&b, "too early", &arena);
    x = weir_graph_input(&b, "x", rows), t = weir_graph_input(&b, "t", labels);
    weir_graph_layer(&b, "one");
    weir_graph_node(&b, "y", &weir_op_add, NULL, 0, 2, (int[]){x, 1}, 0, NULL);
    weir_graph_node(&b, "z", &weir_op_relu, NULL, 0, 1, &x, 0, NULL);
    assert_fails(weir_graph_finish(&b, &graph), WEIR_ERR_INVALID, "node 'y': input 1 is value 1, the nodes before it are 0 to -1");

    weir_graph_begin(&b, "learnt target", &arena);
    x = weir_graph_input(&b, "x", rows);
    weir_graph_layer(&b, "one");
    int w = weir_graph_param(&b, "w", WEIR_INIT_NORMAL, 1, true);
    int y = weir_graph_node(&b, "y", &weir_op_linear, &attr, sizeof attr, 1, &x, 1, &w);
    s = weir_graph_node(&b, "s", &weir_op_relu, NULL, 0, 1, &x, 0, NULL);
    weir_graph_node(&b, "loss", &weir_op_mse, NULL, 0, 2, (int[]){s, y}, 0, NULL);
    assert_fails(weir_graph_finish(&b, &graph), WEIR_ERR_INVALID, "its target 'y' depends on parameters");

    weir_graph_begin(&b, "unused", &arena);
    x = weir_graph_input(&b, "x", rows), t = weir_graph_input(&b, "t", labels);
    weir_graph_layer(&b, "one");
    weir_graph_node(&b, "lost", &weir_op_relu, NULL, 0, 1, &x, 0, NULL);
    weir_graph_node(&b, "loss", &weir_op_cross_entropy, NULL, 0, 2, (int[]){x, t}, 0, NULL);
    assert_fails(weir_graph_finish(&b, &graph), WEIR_ERR_INVALID, "output of node 'lost' is never used");

    weir_graph_begin(&b, "no loss", &arena);
    x = weir_graph_input(&b, "x", rows);
    weir_graph_layer(&b, "one");
    weir_graph_node(&b, "end", &weir_op_relu, NULL, 0, 1, &x, 0, NULL);
    assert_fails(weir_graph_finish(&b, &graph), WEIR_ERR_INVALID, "the last node 'end' is not a loss");

    weir_graph_begin(&b, "tied shapes", &arena);
    x = weir_graph_input(&b, "x", rows);
    weir_graph_layer(&b, "one");
    w = weir_graph_param(&b, "w", WEIR_INIT_NORMAL, 1, true);
    y = weir_graph_node(&b, "a", &weir_op_linear, &attr, sizeof attr, 1, &x, 1, &w);
    attr.out_features = 5;
    weir_graph_node(&b, "b", &weir_op_linear, &attr, sizeof attr, 1, &y, 1, &w);
    assert_fails(weir_graph_finish(&b, &graph), WEIR_ERR_INVALID, "another shape than node 'a'");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_buffers_never_overlap_while_alive),
        cmocka_unit_test(many_buffers_are_packed_as_tightly_as_few),
        cmocka_unit_test(gpt2_tiny_has_14_layers_and_ties_the_embedding),
        cmocka_unit_test(the_published_sizes_have_the_published_numbers_of_parameters),
        cmocka_unit_test(every_event_is_signalled_before_it_is_awaited),
        cmocka_unit_test(memory_follows_from_the_schedule),
        cmocka_unit_test(memory_rows_of_one_block_never_overlap_while_alive),
        cmocka_unit_test(every_built_in_schedule_has_an_order),
        cmocka_unit_test(a_circle_is_named_from_rank_to_rank_with_its_reasons),
        cmocka_unit_test(a_circle_through_slots_says_how_many_there_are),
        cmocka_unit_test(reductions_of_a_schedule_stand_where_it_has_them),
        cmocka_unit_test(every_bucket_is_reduced_once),
        cmocka_unit_test(a_reduction_before_its_gradients_are_complete_is_refused),
        cmocka_unit_test(the_text_of_a_program_says_who_is_awaited_and_why),
        cmocka_unit_test(calls_of_a_bf16_graph_have_its_types),
        cmocka_unit_test(a_partition_that_does_not_fit_is_refused),
        cmocka_unit_test(a_boundary_has_all_that_goes_from_reader_to_reader_and_nothing_else),
        cmocka_unit_test(a_long_boundary_has_slots_for_what_is_in_flight),
        cmocka_unit_test(a_graph_says_what_is_wrong_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
