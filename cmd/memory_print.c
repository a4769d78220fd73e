#include "cmd/memory_print.h"

static double gib(size_t bytes)
{
    return (double)bytes / 0x1p30;
}

static void columns_print(const struct weir_rank_memory *m, int digits, FILE *out)
{
    const size_t columns[] = {m->parameters, m->gradients, m->optimizer, m->activations, m->slots, m->beside, m->all};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        fprintf(out, " %11.*f", digits, gib(columns[i]));
    fprintf(out, " GiB\n");
}

/* "rank 0: 157.4 of 24.0 GiB: does not fit" */
static void verdict_print(const struct weir_memory_report *report, int digits, FILE *out)
{
    for (int r = 0; r < report->n_ranks; r++)
        if (report->ranks[r].all > report->cap)
            fprintf(out, "rank %d: %.*f of %.*f GiB: does not fit\n", r, digits, gib(report->ranks[r].all), digits, gib(report->cap));
    if (report->fits)
        fprintf(out, "all ranks fit: rank %d takes most, %.*f of %.*f GiB\n", report->largest, digits,
                gib(report->ranks[report->largest].all), digits, gib(report->cap));
}

void memory_print(const struct weir_memory_report *report, FILE *out)
{
    int digits = report->ranks[report->largest].all >= (size_t)1 << 30 ? 1 : 4;
    fprintf(out, "%-5s %11s %11s %11s %11s %11s %11s %11s\n", "rank", "parameters", "gradients", "optimizer", "activations", "slots",
            "beside", "all");
    for (int r = 0; r < report->n_ranks; r++) {
        fprintf(out, "%-5d", r);
        columns_print(&report->ranks[r], digits, out);
    }
    if (report->n_replicas > 1)
        fprintf(out, "each of %d replicas\n", report->n_replicas);
    if (report->is_measured)
        fprintf(out, "and what is measured when a run starts: the device's context, other users of it, buffers of transports\n");
    fprintf(out, "less parameters and gradients: more --stages; optimizer: --zero 1 with --replicas, --optimizer sgd; activations:\n"
                 "--recompute full, a smaller --microbatch-size, another --schedule; every byte: --print-memory full\n");
    if (report->cap)
        verdict_print(report, digits, out);
}

static json_t *rank_json(const struct weir_rank_memory *m, int r)
{
    return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rank", r, "parameters", (json_int_t)m->parameters, "gradients",
                     (json_int_t)m->gradients, "optimizer", (json_int_t)m->optimizer, "activations", (json_int_t)m->activations,
                     "slots", (json_int_t)m->slots, "beside", (json_int_t)m->beside, "all", (json_int_t)m->all);
}

json_t *memory_json(const struct weir_memory_report *report)
{
    json_t *ranks = json_array();
    for (int r = 0; ranks && r < report->n_ranks; r++)
        if (json_array_append_new(ranks, rank_json(&report->ranks[r], r))) {
            json_decref(ranks);
            ranks = NULL;
        }
    json_t *cap = report->cap ? json_integer((json_int_t)report->cap) : json_null();
    return json_pack("{s:s, s:i, s:o, s:o, s:b, s:b}", "unit", "bytes", "replicas", report->n_replicas, "cap", cap, "ranks", ranks,
                     "fits", (int)report->fits, "measured_at_start", (int)report->is_measured);
}
