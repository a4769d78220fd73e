/* Dependencies of random programs.   labels: pure */
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "engine/program/compile.h"
#include "engine/program/deps.h"
#include "tests/support/program_fixture.h"

enum { PROGRAMS = 1000 };

/* ---- two derivations ----------------------------------------------------------------------------------------------- */

/* A copy of the program that has its waits and signals from the dependencies. */
static void derive(struct program_fixture *f, struct weir_program *copy)
{
    *copy = *f->program;
    copy->n_events = 0;
    size_t n = (size_t)copy->n_ranks;
    assert_ok(weir_arena_alloc(&f->arena, n, sizeof *copy->ranks, &copy->ranks));
    memcpy(copy->ranks, f->program->ranks, n * sizeof *copy->ranks);
    for (int r = 0; r < copy->n_ranks; r++) {
        struct weir_rank_program *rank = &copy->ranks[r];
        assert_ok(weir_arena_alloc(&f->arena, (size_t)rank->n_instrs, sizeof *rank->instrs, &rank->instrs));
        memcpy(rank->instrs, f->program->ranks[r].instrs, (size_t)rank->n_instrs * sizeof *rank->instrs);
    }
    struct weir_compile c = {.program = copy, .arena = &f->arena};
    assert_ok(weir_compile_waits(&c));
}

/* [n_events]: the instruction that signals, as rank * 1000 + instr. */
static int *signallers(struct program_fixture *f, const struct weir_program *program)
{
    int *out;
    assert_ok(weir_arena_alloc(&f->arena, (size_t)program->n_events + 1, sizeof *out, &out));
    for (int e = 0; e < program->n_events; e++)
        out[e] = -1;
    for (int r = 0; r < program->n_ranks; r++)
        for (int i = 0; i < program->ranks[r].n_instrs; i++)
            if (program->ranks[r].instrs[i].signal >= 0) {
                assert_int_equal(out[program->ranks[r].instrs[i].signal], -1);
                out[program->ranks[r].instrs[i].signal] = r * 1000 + i;
            }
    for (int e = 0; e < program->n_events; e++)
        assert_true(out[e] >= 0);
    return out;
}

static int int_compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void assert_same_waits(const int *old, int n_old, const int *old_signallers, const int *new, int n_new,
                              const int *new_signallers)
{
    int a[64], b[64];
    assert_int_equal(n_old, n_new);
    assert_true(n_old < 64);
    for (int k = 0; k < n_old; k++) {
        a[k] = old_signallers[old[k]];
        b[k] = new_signallers[new[k]];
    }
    qsort(a, (size_t)n_old, sizeof *a, int_compare);
    qsort(b, (size_t)n_old, sizeof *b, int_compare);
    assert_memory_equal(a, b, (size_t)n_old * sizeof *a);
}

/* A region as both lists have it, for sorting. */
struct travel {
    int signaller, from_rank, from_replica, to_rank, to_replica, receivers, kind, post_after;
    size_t offset, bytes;
};

static int travel_compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct travel));
}

static int travels_of_pushes(const struct weir_program *program, const int *signaller, struct travel *out)
{
    for (int p = 0; p < program->n_pushes; p++) {
        const struct weir_push *push = &program->pushes[p];
        memset(&out[p], 0, sizeof out[p]);
        out[p] = (struct travel){signaller[push->event], push->from_rank, push->from_replica, push->to_rank, push->to_replica,
                                 push->receivers, (int)push->kind, push->post_after, push->offset, push->bytes};
    }
    return program->n_pushes;
}

static int travels_of_deps(const struct weir_program *program, struct travel *out)
{
    int n = 0;
    for (int d = 0; d < program->n_deps; d++) {
        const struct weir_dep *dep = &program->deps[d];
        for (int k = dep->first_region; k < dep->first_region + dep->n_regions; k++) {
            const struct weir_dep_region *region = &program->regions[k];
            int to_replica = dep->replicas == WEIR_DEP_OWN            ? WEIR_REPLICA_OWN
                             : region->to_replica == WEIR_REPLICA_ANY ? WEIR_REPLICA_OTHERS
                                                                      : region->to_replica;
            assert_true(dep->replicas == WEIR_DEP_OTHERS || region->to_replica == WEIR_REPLICA_ANY);
            memset(&out[n], 0, sizeof out[n]);
            out[n++] = (struct travel){dep->from_rank * 1000 + dep->from_instr, dep->from_rank, region->from_replica,
                                       dep->to_rank, to_replica, region->receivers, (int)region->kind, dep->post_after,
                                       region->offset, region->bytes};
        }
    }
    return n;
}

static void assert_same_regions(struct program_fixture *f, const int *old_signallers)
{
    struct travel *a, *b;
    size_t n = (size_t)f->program->n_pushes;
    assert_int_equal(f->program->n_regions, f->program->n_pushes);
    assert_ok(weir_arena_alloc(&f->arena, n, sizeof *a, &a));
    assert_ok(weir_arena_alloc(&f->arena, n, sizeof *b, &b));
    assert_int_equal(travels_of_pushes(f->program, old_signallers, a), n);
    assert_int_equal(travels_of_deps(f->program, b), n);
    qsort(a, n, sizeof *a, travel_compare);
    qsort(b, n, sizeof *b, travel_compare);
    assert_memory_equal(a, b, n * sizeof *a);
}

static void waits_signals_and_regions_follow_from_the_dependencies(void **state)
{
    (void)state;
    long n_deps = 0, n_regions = 0, n_cut = 0, n_replicas = 0;
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        struct program_fixture f;
        struct weir_program copy;
        program_fixture_random(&f, seed);
        derive(&f, &copy);
        int *old = signallers(&f, f.program), *new = signallers(&f, &copy);
        assert_int_equal(copy.n_events, f.program->n_events);
        for (int r = 0; r < copy.n_ranks; r++)
            for (int i = 0; i < copy.ranks[r].n_instrs; i++) {
                const struct weir_instr *a = &f.program->ranks[r].instrs[i], *b = &copy.ranks[r].instrs[i];
                assert_int_equal(a->signal >= 0, b->signal >= 0);
                assert_same_waits(a->waits, a->n_waits, old, b->waits, b->n_waits, new);
                assert_same_waits(a->peer_waits, a->n_peer_waits, old, b->peer_waits, b->n_peer_waits, new);
                n_cut += a->first_call > 0;
            }
        assert_same_regions(&f, old);
        n_deps += copy.n_deps;
        n_regions += copy.n_regions;
        n_replicas += copy.n_replicas > 1;
        weir_arena_release(&f.arena);
    }
    assert_true(n_deps > 20 * PROGRAMS && n_regions > 20 * PROGRAMS && n_cut > PROGRAMS && n_replicas > PROGRAMS / 2);
    print_message("%d programs, %ld dependencies, %ld regions, %ld cut actions\n", PROGRAMS, n_deps, n_regions, n_cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_signals_and_regions_follow_from_the_dependencies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
