/* A compiled program and the simulation of its schedule take the same time, whatever its actions take: both wait for the same
 * results and the same slots.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "engine/program/deps.h"
#include "include/weir/simulate.h"
#include "tests/support/program_fixture.h"
#include "tests/support/random_schedule.h"
#include "schedules/schedule_kinds.h"

enum { MOST_STAGES = 16, PROGRAMS = 300 };

struct times {
    double ends[MOST_STAGES][256]; /* of every rank's instructions */
    double last;
};

/* An action that is cut into several instructions has its time in the first; the last calls alone write slots. */
static double work(const struct weir_instr *instr, const struct weir_stage_costs *costs)
{
    const struct weir_stage_costs *c = &costs[instr->stage];
    if (instr->first_call)
        return 0;
    return instr->list == WEIR_LIST_F   ? c->forward
           : instr->list == WEIR_LIST_I ? c->input
           : instr->list == WEIR_LIST_W ? c->weight
                                        : c->input + c->weight;
}

static void instr_time(const struct weir_program *program, struct weir_order_entry at, const struct weir_stage_costs *costs,
                       struct times *times)
{
    const struct weir_instr *instr = &program->ranks[at.rank].instrs[at.instr];
    double start = at.instr ? times->ends[at.rank][at.instr - 1] : 0;
    assert_in_range(at.instr, 0, 255);
    for (int d = instr->first_dep; d < instr->first_dep + instr->n_deps; d++)
        start = fmax(start, times->ends[program->deps[d].from_rank][program->deps[d].from_instr]);
    bool action = instr->kind == WEIR_INSTR_ACTION;
    times->ends[at.rank][at.instr] = start + (action ? work(instr, costs) : 0);
    if (action)
        times->last = fmax(times->last, times->ends[at.rank][at.instr]);
}

/* When the program's last action ends. */
static double program_time(const struct weir_program *program, const struct weir_stage_costs *costs)
{
    static struct times times;
    times.last = 0;
    for (int i = 0; i < program->n_order; i++)
        if (program->order[i].copy == 0)
            instr_time(program, program->order[i], costs, &times);
    return times.last;
}

/* The engine runs the parts of an OVERLAP_F_B one after the other. */
static void overlaps_part(struct weir_schedule *schedule, struct weir_arena *arena)
{
    struct weir_schedule_rank *ranks;
    assert_ok(weir_arena_alloc(arena, (size_t)schedule->n_ranks, sizeof *ranks, &ranks));
    for (int r = 0; r < schedule->n_ranks; r++) {
        const struct weir_schedule_rank *from = &schedule->ranks[r];
        struct weir_action *actions;
        assert_ok(weir_arena_alloc(arena, from->n_actions, sizeof *actions, &actions));
        memcpy(actions, from->actions, from->n_actions * sizeof *actions);
        for (size_t i = 0; i < from->n_actions; i++)
            actions[i].fused = 0;
        ranks[r] = (struct weir_schedule_rank){.actions = actions, .n_actions = from->n_actions};
    }
    schedule->ranks = ranks;
}

static double simulated_time(struct program_fixture *f, const struct weir_stage_costs *stages)
{
    struct weir_schedule_costs costs = {.stages = stages, .n_stages = f->schedule.n_stages, .overlap_gain = 1};
    struct weir_schedule schedule;
    struct weir_simulation s;
    assert_ok(weir_schedule_compute_only(&f->schedule, &f->arena, &schedule));
    overlaps_part(&schedule, &f->arena);
    assert_ok(weir_program_boundaries(f->program, &f->arena, &schedule.boundaries, &schedule.n_boundaries));
    assert_ok(weir_schedule_simulate(&schedule, &costs, &(struct weir_simulation_options){0}, &f->arena, &s));
    return s.makespan;
}

static void random_costs(uint64_t *random, int n_stages, struct weir_stage_costs *costs)
{
    int most = 1 + random_below(random, 20);
    for (int s = 0; s < n_stages; s++)
        costs[s] = (struct weir_stage_costs){.forward = 1 + random_below(random, most), .input = 1 + random_below(random, most),
                                             .weight = 1 + random_below(random, most)};
}

static void assert_alike(struct program_fixture *f, const char *name, uint64_t *random)
{
    struct weir_stage_costs costs[MOST_STAGES];
    assert_in_range(f->schedule.n_stages, 1, MOST_STAGES);
    for (int trial = 0; trial < 5; trial++) {
        random_costs(random, f->schedule.n_stages, costs);
        double compiled = program_time(f->program, costs), simulated = simulated_time(f, costs);
        if (compiled != simulated)
            fail_msg("%s: the program takes %g, its simulation %g", name, compiled, simulated);
    }
}

static void a_program_of_any_kind_takes_as_long_as_its_simulation(void **state)
{
    (void)state;
    uint64_t random = 3;
    for (int k = 0; weir_schedule_kinds[k]; k++)
        for (int p = 1; p <= 3; p++) {
            const struct weir_schedule_kind *kind = weir_schedule_kinds[k];
            struct program_fixture f;
            int chunks = weir_schedule_kind_chunks(kind);
            if (kind->n_copies > 1 || p * chunks > 6 || kind->takes_slices || !strcmp(kind->name, "inference"))
                continue;
            program_fixture_build(&f, kind->name, p * chunks, chunks, 2 * p);
            assert_alike(&f, kind->name, &random);
            weir_arena_release(&f.arena);
        }
}

static void breadth_first_takes_as_long_as_its_simulation_whatever_its_stages_take(void **state)
{
    (void)state;
    uint64_t random = 5;
    for (int m = 2; m <= 16; m *= 2) {
        struct program_fixture f;
        program_fixture_build(&f, "bfs", 4, 2, m);
        assert_alike(&f, "bfs", &random);
        weir_arena_release(&f.arena);
    }
}

/* Somewhere an action is all in one call, which must wait for its slot before it begins. */
static bool has_single_calls(const struct weir_program *program)
{
    for (int s = 0; s < program->n_stages; s++)
        for (int l = 0; l < WEIR_LISTS; l++)
            if (program->stages[s].lists[l].n_calls && !program->stages[s].lists[l].slot_call)
                return true;
    return false;
}

static void a_random_program_takes_as_long_as_its_simulation(void **state)
{
    (void)state;
    uint64_t random = 9;
    int n = 0;
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        struct program_fixture f;
        program_fixture_random(&f, seed);
        if (f.program->n_replicas == 1 && !has_single_calls(f.program)) {
            assert_alike(&f, "random", &random);
            n++;
        }
        weir_arena_release(&f.arena);
    }
    assert_true(n > PROGRAMS / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_of_any_kind_takes_as_long_as_its_simulation),
        cmocka_unit_test(breadth_first_takes_as_long_as_its_simulation_whatever_its_stages_take),
        cmocka_unit_test(a_random_program_takes_as_long_as_its_simulation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
