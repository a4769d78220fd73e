/* Published iterations: 1F1B simulated with the times of its stages takes as long as was measured; and cuts of a GPT whose head is dear,
 * against published ones.  The costs of a layer, of embedding and head follow from rows that
 * were measured (Vocabulary Parallelism's artifact, 8 ranks, 128 micro-batches); our cut and theirs are simulated with them.
 * labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/weir/partition.h"
#include "include/weir/simulate.h"

enum { P = 8, M = 128, LAYERS = 32, ITEMS = LAYERS + 2, MOST_ROWS = 32 };

/* A measured iteration: time of F and B of each stage, in us. */
struct row {
    char name[32];
    double f[P], b[P], measured_ms;
};

/* Items of the model: embedding, layers, head. */
struct items {
    double f[ITEMS], b[ITEMS];
};

static int rows_read(const char *path, struct row *rows)
{
    char line[512];
    int n = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        struct row *r = &rows[n];
        char *word = strtok(line, ",");
        if (*line == '#' || !strcmp(word, "run"))
            continue;
        assert_true(n < MOST_ROWS);
        snprintf(r->name, sizeof r->name, "%s", word);
        for (int s = 0; s < 2 * P; s++)
            *(s < P ? &r->f[s] : &r->b[s - P]) = strtod(strtok(NULL, ","), NULL);
        r->measured_ms = strtod(strtok(NULL, ","), NULL);
        n++;
    }
    fclose(file);
    return n;
}

/* Stages 1 to 6 have four layers each and nothing else. */
static double layer_of(const double *stages)
{
    double sum = 0;
    for (int s = 1; s < P - 1; s++)
        sum += stages[s];
    return sum / (P - 2) / 4;
}

static void items_find(const double *stages, double *items)
{
    double layer = layer_of(stages);
    items[0] = fmax(stages[0] - 4 * layer, 0);
    for (int l = 1; l <= LAYERS; l++)
        items[l] = layer;
    items[ITEMS - 1] = stages[P - 1] - 4 * layer;
}

/* How many layers each stage of the published cut has, by its times. */
static void published_cut(const struct row *redis, const struct items *items, int *first)
{
    int n = 0;
    double layer = items->f[1] + items->b[1];
    for (int s = 0; s < P; s++) {
        double own = redis->f[s] + redis->b[s];
        own -= s == 0 ? items->f[0] + items->b[0] : s == P - 1 ? items->f[ITEMS - 1] + items->b[ITEMS - 1] : 0;
        first[s] = n;
        n += (int)lround(own / layer) + (s == 0);
    }
    first[P] = ITEMS;
    assert_int_equal(n, ITEMS - 1); /* the head is the last */
}

/* F and B of each stage in us. */
static double simulated_ms(const double *f, const double *b)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_simulation simulation;
    struct weir_stage_costs stages[P];
    const struct weir_schedule_kind *kind;
    const struct weir_schedule_params params = {.n_ranks = P, .n_chunks = 1, .n_microbatches = M};
    const struct weir_schedule_costs costs = {.overlap_gain = 1, .stages = stages, .n_stages = P};
    for (int s = 0; s < P; s++)
        stages[s] = (struct weir_stage_costs){.forward = f[s] / 1e3, .input = b[s] / 2e3, .weight = b[s] / 2e3};
    assert_ok(weir_schedule_kind_find("1f1b", &kind));
    assert_ok(weir_schedule_build(kind, &params, &arena, &schedule));
    assert_ok(weir_schedule_simulate(&schedule, &costs, &(struct weir_simulation_options){.n_replicas = 1}, &arena, &simulation));
    double makespan = simulation.makespan;
    weir_arena_release(&arena);
    return makespan;
}

static double step_ms(const struct items *items, const int *first)
{
    double f[P] = {0}, b[P] = {0};
    for (int s = 0; s < P; s++)
        for (int i = first[s]; i < first[s + 1]; i++) {
            f[s] += items->f[i];
            b[s] += items->b[i];
        }
    return simulated_ms(f, b);
}

/* Rows come in pairs: base, then redis. */
static double gain_of(const struct row *base, const struct row *redis)
{
    struct items items;
    double time[ITEMS];
    int ours[P + 1], theirs[P + 1];
    items_find(base->f, items.f);
    items_find(base->b, items.b);
    for (int i = 0; i < ITEMS; i++)
        time[i] = items.f[i] + items.b[i];
    assert_ok(weir_chain_split(time, ITEMS, P, ours));
    published_cut(redis, &items, theirs);
    double a = step_ms(&items, ours), b = step_ms(&items, theirs);
    print_message("%-16s ours %8.1f ms, published cut %8.1f ms\n", base->name, a, b);
    return b / a - 1;
}

static void our_cut_is_never_slower_than_the_published_one(void **state)
{
    (void)state;
    struct row rows[MOST_ROWS];
    const char *path = testing_data_path("reference/measured_1f1b.csv");
    if (!path)
        skip();
    int n = rows_read(path, rows);
    assert_int_equal(n, 16);
    for (int i = 0; i < n; i += 2) {
        assert_string_equal(strchr(rows[i].name, '_'), strchr(rows[i + 1].name, '_'));
        double gain = gain_of(&rows[i], &rows[i + 1]);
        assert_true(gain >= -1e-9);
        if (!strcmp(rows[i].name, "base_v128k_s2k"))
            assert_true(gain >= 0.10);
    }
}

static void an_iteration_simulated_with_its_stages_times_takes_what_was_measured(void **state)
{
    (void)state;
    struct row rows[MOST_ROWS];
    const char *path = testing_data_path("reference/measured_1f1b.csv");
    if (!path)
        skip();
    int n = rows_read(path, rows);
    assert_int_equal(n, 16);
    for (int i = 0; i < n; i++) {
        double off = simulated_ms(rows[i].f, rows[i].b) / rows[i].measured_ms - 1;
        print_message("%-16s %8.1f ms, simulated %+.2f %%\n", rows[i].name, rows[i].measured_ms, 100 * off);
        assert_true(fabs(off) <= 0.02);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_iteration_simulated_with_its_stages_times_takes_what_was_measured),
                                       cmocka_unit_test(our_cut_is_never_slower_than_the_published_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
