/* weir explain: who waited for whom, and why, from a trace of weir train. */
#include <stdio.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/printable.h"
#include "cmd/command.h"
#include "cmd/explain_flight.h"
#include "include/weir/trace.h"

struct explain_options {
    struct options given;
    int64_t rank;
    bool json;
};

static const struct option_row rows[] = {
    {"rank", 'r', OPTION_INT, offsetof(struct explain_options, rank), "R", "only this rank (all)", 0, 1e9},
    {"json", 0, OPTION_FLAG, offsetof(struct explain_options, json), NULL, "print one JSON object", 0, 0},
    {0},
};

static const struct option_table table = {
    "explain", "FILE", "who waited for whom, and why: from a trace times per step, by cause and rank, beside the simulator's; from a "
    "flight record what ranks were at",
    "weir train --model gpt2-tiny --data text --stages 4 --trace t.json; weir explain t.json --rank 2", rows, NULL};

static const struct weir_wait_row *row_at(const struct weir_explanation *e, int i)
{
    return &e->rows[i];
}

static double idle_ms(const struct weir_explanation *e, int rank)
{
    double sum = 0;
    for (int i = 0; i < e->n_rows; i++)
        if (e->rows[i].rank == rank)
            sum += e->rows[i].wait_ms + e->rows[i].way_ms;
    return sum;
}

/* ---- text ---------------------------------------------------------------------------------------------------------- */

static void row_print(const struct weir_wait_row *row)
{
    char peer[16] = "-", simulated[32] = "-", cause[64];
    if (row->peer >= 0)
        snprintf(peer, sizeof peer, "%d", row->peer);
    if (row->simulated_ms >= 0)
        snprintf(simulated, sizeof simulated, "%.3f", row->simulated_ms);
    printf("  %-18s %7s %8.1f %11.3f %9.3f %13s\n", weir_printable(row->cause, cause, sizeof cause), peer, row->times, row->wait_ms, row->way_ms, simulated);
}

static void rank_print(const struct weir_explanation *e, int rank)
{
    double idle = idle_ms(e, rank);
    printf("rank %d: %.3f ms of a step at work, %.3f waiting (%.1f %%)\n", rank, e->busy_ms[rank], idle,
           e->step_ms > 0 ? 100 * idle / e->step_ms : 0);
    printf("  %-18s %7s %8s %11s %9s %13s\n", "waits for", "of rank", "times", "waiting ms", "way ms", "simulated ms");
    for (int i = 0; i < e->n_rows; i++)
        if (e->rows[i].rank == rank)
            row_print(row_at(e, i));
}

static void text_print(const struct weir_explanation *e, int from, int to)
{
    printf("%lld step%s from step %lld on: %.3f ms a step, simulated with the measured costs and free transfers %.3f ms\n",
           (long long)e->n_steps, e->n_steps == 1 ? "" : "s", (long long)e->first_step, e->step_ms, e->simulated_step_ms);
    for (int r = from; r < to; r++)
        rank_print(e, r);
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------- */

static json_t *row_json(const struct weir_wait_row *row)
{
    json_t *object = json_object();
    json_object_set_new(object, "cause", json_string(row->cause));
    json_object_set_new(object, "peer", row->peer >= 0 ? json_integer(row->peer) : json_null());
    json_object_set_new(object, "times", json_real(row->times));
    json_object_set_new(object, "wait_ms", json_real(row->wait_ms));
    json_object_set_new(object, "way_ms", json_real(row->way_ms));
    json_object_set_new(object, "simulated_ms", row->simulated_ms >= 0 ? json_real(row->simulated_ms) : json_null());
    return object;
}

static json_t *rank_json(const struct weir_explanation *e, int rank)
{
    json_t *object = json_object(), *waits = json_array();
    for (int i = 0; i < e->n_rows; i++)
        if (e->rows[i].rank == rank)
            json_array_append_new(waits, row_json(row_at(e, i)));
    json_object_set_new(object, "rank", json_integer(rank));
    json_object_set_new(object, "busy_ms", json_real(e->busy_ms[rank]));
    json_object_set_new(object, "waits", waits);
    return object;
}

static weir_status json_write(const struct weir_explanation *e, int from, int to)
{
    enum { DIGITS = 9 };
    json_t *root = json_object(), *ranks = json_array();
    for (int r = from; r < to; r++)
        json_array_append_new(ranks, rank_json(e, r));
    json_object_set_new(root, "first_step", json_integer(e->first_step));
    json_object_set_new(root, "steps", json_integer(e->n_steps));
    json_object_set_new(root, "step_ms", json_real(e->step_ms));
    json_object_set_new(root, "simulated_step_ms", json_real(e->simulated_step_ms));
    json_object_set_new(root, "ranks", ranks);
    struct weir_text text = {0};
    weir_json_append(&text, root, DIGITS);
    weir_status status = text.status;
    if (!status)
        printf("%s\n", text.data);
    weir_text_release(&text);
    return status;
}

/* ---- the command --------------------------------------------------------------------------------------------------- */

static weir_status explain(const struct explain_options *o, const char *path)
{
    struct weir_arena arena = {0};
    struct weir_explanation e;
    struct weir_flight_record record;
    bool one = options_given(&o->given, "rank"), is_record = false;
    weir_status status = weir_flight_record_load(path, &arena, &record, &is_record);
    if (is_record && !o->json) {
        if (!status)
            status = explain_flight(&record, path, one ? (int)o->rank : -1);
        weir_arena_release(&arena);
        return status;
    }
    status = weir_explanation_load(path, &arena, &e);
    if (!status && one && o->rank >= e.n_ranks)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "rank %lld is not in '%s': it has %d", (long long)o->rank, path, e.n_ranks);
    int from = one ? (int)o->rank : 0, to = status ? 0 : one ? from + 1 : e.n_ranks;
    if (!status && o->json)
        status = json_write(&e, from, to);
    else if (!status)
        text_print(&e, from, to);
    weir_arena_release(&arena);
    return status;
}

static int run(int argc, char **argv)
{
    struct explain_options o = {.rank = 0};
    const char *path = NULL;
    int n;
    enum option_outcome outcome;
    weir_status status = options_parse(&o.given, &table, argc, argv, &o, &path, 1, &n, &outcome);
    if (!status && outcome == OPTIONS_PARSED && n < 1)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "the trace is missing: weir explain TRACE (weir train --trace TRACE writes one)");
    if (!status && outcome == OPTIONS_PARSED)
        status = explain(&o, path);
    options_release(&o.given);
    return options_report("explain", status);
}

static const struct option_table *const tables[] = {&table, NULL};
const struct command command_explain = {"explain", "who waited for whom, and why, from a trace", tables, run, true};
