/* weir train --profile: the time of the steps, by operation.
 *
 * The whole is what the ranks had: number of ranks · time of the steps.  It is cut without overlap or gap:
 *
 *     rank 0   | linear forward | hand-over | gelu forward | ... | waiting | ... | gradient norm | waiting | update |
 *     rank 1   | waiting        | ...
 *
 * operations: in kernels.  hand-over: in instructions of the schedule, but not in a kernel (finding addresses, reading the
 * clock, copies between stages).  optimizer: its instructions.  waiting: in no instruction; train_waits.c says for what. */
#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/train.h"

enum { OPTIMIZER_ROWS = 16, OTHER_ROWS = 1 + TRAIN_WAIT_CLASSES }; /* more than kinds of instructions of the optimizer; hand-over and waiting */

struct train_profile {
    size_t room, n_rows, n_before;
    struct weir_op_time *rows;    /* [room + OPTIMIZER_ROWS + OTHER_ROWS]: the table; pass NULL: none, flops 0: unknown */
    struct weir_op_time *before;  /* [room]: when the steps were left */
    struct weir_op_time *outside; /* [room]: what was called between steps */
    size_t n_outside;
    struct weir_op_time optimizer[OPTIMIZER_ROWS]; /* by the kind of instruction */
    char kinds[OPTIMIZER_ROWS][32];
    int n_optimizer;
    int64_t whole_ns, busy_ns, steps_ns, open_ns;
    struct train_waits *waits;
};

weir_status train_profile_open(struct train_run *run)
{
    struct train_profile *p;
    weir_status status = weir_arena_alloc(&run->arena, 1, sizeof *p, &p);
    if (status)
        return status;
    p->room = (size_t)run->graph->n_nodes * WEIR_PASSES;
    p->open_ns = weir_clock_ns();
    status = weir_arena_alloc(&run->arena, p->room + OPTIMIZER_ROWS + OTHER_ROWS, sizeof *p->rows, &p->rows);
    if (!status)
        status = weir_arena_alloc(&run->arena, p->room, sizeof *p->before, &p->before);
    if (!status)
        status = weir_arena_alloc(&run->arena, p->room, sizeof *p->outside, &p->outside);
    if (!status)
        status = train_waits_open(run, &p->waits);
    if (!status)
        run->profile = p;
    return status;
}

/* ---- adding up ----------------------------------------------------------------------------------------------------- */

/* The kind of an instruction: its name without the number of a bucket, "reduce" of "reduce 3". */
static void kind_of(const char *name, char kind[32])
{
    const char *space = strrchr(name, ' ');
    bool numbered = space && space[1] && !space[1 + strspn(space + 1, "0123456789")];
    snprintf(kind, 32, "%.*s", (int)(numbered ? space - name : (ptrdiff_t)strlen(name)), name);
}

static void optimizer_add(struct train_profile *p, const struct weir_step_event *event)
{
    char kind[32];
    int i = 0;
    kind_of(event->name, kind);
    while (i < p->n_optimizer && strcmp(p->kinds[i], kind) != 0)
        i++;
    if (i == OPTIMIZER_ROWS) {
        i--; /* a kind too many joins the last */
    } else if (i == p->n_optimizer) {
        memcpy(p->kinds[i], kind, sizeof kind);
        p->optimizer[p->n_optimizer++] = (struct weir_op_time){.op = "optimizer", .pass = p->kinds[i]};
    }
    p->optimizer[i].calls++;
    p->optimizer[i].ns += event->end_ns - event->start_ns;
}

void train_profile_step(struct train_run *run, const struct weir_step_report *report)
{
    struct train_profile *p = run->profile;
    p->steps_ns += report->step_ns;
    p->whole_ns += report->step_ns * report->n_ranks;
    for (int r = 0; r < report->n_ranks; r++)
        p->busy_ns += report->compute_ns[r];
    for (size_t i = 0; i < run->n_events; i++)
        if (!strcmp(run->events[i].category, "optimizer"))
            optimizer_add(p, &run->events[i]);
    train_waits_add(run, p->waits);
}

/* The row for the pass of an operation, or NULL. */
static struct weir_op_time *row_find(struct weir_op_time *rows, size_t n, const struct weir_op_time *like)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(rows[i].op, like->op) && !strcmp(rows[i].pass, like->pass))
            return &rows[i];
    return NULL;
}

/* `row` += sign · `term`. */
static void row_add(struct weir_op_time *row, const struct weir_op_time *term, int sign)
{
    row->calls += sign * term->calls;
    row->ns += sign * term->ns;
    row->flops += sign * term->flops;
}

void train_profile_pause(struct train_run *run)
{
    struct train_profile *p = run->profile;
    if (p && !weir_engine_events_gather(run->engine)) /* a failure comes back with the next step */
        p->n_before = weir_engine_op_times(run->engine, p->before, p->room);
}

void train_profile_resume(struct train_run *run)
{
    struct train_profile *p = run->profile;
    size_t n = p && !weir_engine_events_gather(run->engine) ? weir_engine_op_times(run->engine, p->rows, p->room) : 0;
    for (size_t i = 0; i < n; i++) {
        const struct weir_op_time *before = row_find(p->before, p->n_before, &p->rows[i]);
        struct weir_op_time *outside = row_find(p->outside, p->n_outside, &p->rows[i]);
        if (!outside) {
            outside = &p->outside[p->n_outside++];
            *outside = (struct weir_op_time){.op = p->rows[i].op, .pass = p->rows[i].pass};
        }
        row_add(outside, &p->rows[i], 1);
        if (before)
            row_add(outside, before, -1);
    }
}

/* ---- the table ----------------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const struct weir_op_time *x = a, *y = b;
    return (x->ns < y->ns) - (x->ns > y->ns);
}

static void rows_make(struct train_run *run)
{
    struct train_profile *p = run->profile;
    size_t n = weir_engine_op_times(run->engine, p->rows, p->room);
    int64_t rest = p->busy_ns;
    for (size_t i = 0; i < n; i++) {
        const struct weir_op_time *outside = row_find(p->outside, p->n_outside, &p->rows[i]);
        if (outside)
            row_add(&p->rows[i], outside, -1);
        rest -= p->rows[i].ns;
    }
    qsort(p->rows, n, sizeof *p->rows, by_time);
    for (int i = 0; i < p->n_optimizer; i++, n++) {
        p->rows[n] = p->optimizer[i];
        rest -= p->rows[n].ns;
    }
    p->rows[n++] = (struct weir_op_time){.op = "hand-over", .ns = rest};
    int64_t idle = p->whole_ns - p->busy_ns; /* hosts' clocks differ: what no wait explains is in the last row */
    for (int class = 0; class < TRAIN_WAIT_CLASSES; class++) {
        int64_t ns = class + 1 < TRAIN_WAIT_CLASSES ? train_waits_ns(p->waits, class) : idle;
        p->rows[n++] = (struct weir_op_time){.op = "waiting", .pass = train_waits_class(class), .ns = ns};
        idle -= ns;
    }
    p->n_rows = n;
}

static double share_of(const struct train_profile *p, int64_t ns)
{
    return p->whole_ns > 0 ? (double)ns / (double)p->whole_ns : 0;
}

static void row_print(const struct train_profile *p, const struct weir_op_time *row, FILE *out)
{
    fprintf(out, "%-14s %-16s ", row->op, row->pass ? row->pass : "");
    if (row->calls)
        fprintf(out, "%10" PRId64, row->calls);
    else
        fprintf(out, "%10s", "");
    fprintf(out, " %11.3f %7.2f %%", (double)row->ns / 1e6, 100 * share_of(p, row->ns));
    if (row->flops > 0 && row->ns > 0)
        fprintf(out, " %9.2f", row->flops / (double)row->ns);
    fprintf(out, "\n");
}

void train_profile_print(struct train_run *run, FILE *out)
{
    struct train_profile *p = run->profile;
    struct weir_op_time total = {.op = "total"};
    rows_make(run);
    fprintf(out, "%" PRId64 " step%s took %.3f s on %d rank%s, reading, validating and reporting %.3f s between them\n",
            run->n_done, plural(run->n_done), (double)p->steps_ns / 1e9, run->n_ranks, plural(run->n_ranks),
            (double)(weir_clock_ns() - p->open_ns - p->steps_ns) / 1e9);
    fprintf(out, "%-14s %-16s %10s %11s %9s %9s\n", "operation", "pass", "calls", "ms", "share", "GFLOP/s");
    for (size_t i = 0; i < p->n_rows; i++) {
        row_print(p, &p->rows[i], out);
        row_add(&total, &p->rows[i], 1);
    }
    row_print(p, &total, out);
    train_waits_print(p->waits, run->n_done, out);
}

json_t *train_profile_json(struct train_run *run)
{
    struct train_profile *p = run->profile;
    json_t *rows = json_array();
    rows_make(run);
    for (size_t i = 0; i < p->n_rows; i++) {
        const struct weir_op_time *row = &p->rows[i];
        json_array_append_new(rows, json_pack("{s:s, s:s, s:I, s:I, s:f, s:f}", "op", row->op, "pass",
                                              row->pass ? row->pass : "", "calls", (json_int_t)row->calls, "ns",
                                              (json_int_t)row->ns, "share", share_of(p, row->ns), "flops", row->flops));
    }
    return rows;
}
