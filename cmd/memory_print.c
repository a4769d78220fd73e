#include "cmd/memory_print.h"

#include <stddef.h>
#include <string.h>

enum { DIGITS = 17 };

static double gib(size_t bytes)
{
    return (double)bytes / 0x1p30;
}

/* What a kind of run has none of is no column of it. */
struct column {
    const char *name;
    size_t offset;
    bool trains, generates;
};

static const struct column columns[] = {
    {"parameters", offsetof(struct weir_rank_memory, parameters), true, true},
    {"gradients", offsetof(struct weir_rank_memory, gradients), true, false},
    {"optimizer", offsetof(struct weir_rank_memory, optimizer), true, false},
    {"cache", offsetof(struct weir_rank_memory, cache), false, true},
    {"activations", offsetof(struct weir_rank_memory, activations), true, true},
    {"slots", offsetof(struct weir_rank_memory, slots), true, true},
    {"beside", offsetof(struct weir_rank_memory, beside), true, true},
    {"all", offsetof(struct weir_rank_memory, all), true, true},
};

enum { COLUMNS = sizeof columns / sizeof columns[0] };

static bool is_shown(const struct weir_memory_report *report, const struct column *column)
{
    return report->generates ? column->generates : column->trains;
}

static size_t value_of(const struct weir_rank_memory *m, const struct column *column)
{
    size_t bytes;
    memcpy(&bytes, (const char *)m + column->offset, sizeof bytes);
    return bytes;
}

static void head_print(const struct weir_memory_report *report, FILE *out)
{
    fprintf(out, "%-5s", "rank");
    for (int i = 0; i < COLUMNS; i++)
        if (is_shown(report, &columns[i]))
            fprintf(out, " %12s", columns[i].name);
    fprintf(out, "\n");
}

static void rank_print(const struct weir_memory_report *report, int r, int digits, FILE *out)
{
    fprintf(out, "%-5d", r);
    for (int i = 0; i < COLUMNS; i++)
        if (is_shown(report, &columns[i]))
            fprintf(out, " %8.*f GiB", digits, gib(value_of(&report->ranks[r], &columns[i])));
    fprintf(out, "\n");
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
    head_print(report, out);
    for (int r = 0; r < report->n_ranks; r++)
        rank_print(report, r, digits, out);
    if (report->n_replicas > 1)
        fprintf(out, "each of %d replicas\n", report->n_replicas);
    if (report->is_measured)
        fprintf(out, "and what is measured when a run starts: the device's context, other users of it, buffers of transports\n");
    if (report->generates)
        fprintf(out, "less parameters: more --stages; cache: fewer --samples and --tokens; every byte: --print-memory full\n");
    else
        fprintf(out, "less parameters and gradients: more --stages; optimizer: --zero 1 with --replicas, --optimizer sgd; activations:\n"
                 "--recompute full, a smaller --microbatch-size, another --schedule; every byte: --print-memory full\n");
    if (report->cap)
        verdict_print(report, digits, out);
}

static json_t *rank_json(const struct weir_memory_report *report, int r)
{
    json_t *rank = json_pack("{s:i}", "rank", r);
    for (int i = 0; i < COLUMNS; i++)
        if (is_shown(report, &columns[i]))
            weir_json_set(&rank, columns[i].name, json_integer((json_int_t)value_of(&report->ranks[r], &columns[i])));
    return rank;
}

json_t *memory_json(const struct weir_memory_report *report)
{
    json_t *ranks = json_array();
    for (int r = 0; ranks && r < report->n_ranks; r++)
        if (json_array_append_new(ranks, rank_json(report, r))) {
            json_decref(ranks);
            ranks = NULL;
        }
    json_t *cap = report->cap ? json_integer((json_int_t)report->cap) : json_null();
    return json_pack("{s:s, s:i, s:o, s:o, s:b, s:b}", "unit", "bytes", "replicas", report->n_replicas, "cap", cap, "ranks", ranks,
                     "fits", (int)report->fits, "measured_at_start", (int)report->is_measured);
}

weir_status memory_show(const struct weir_memory_report *report, bool json, FILE *out)
{
    struct weir_text text = {0};
    if (!json) {
        memory_print(report, out);
        return WEIR_OK;
    }
    weir_json_append(&text, memory_json(report), DIGITS);
    if (!text.status)
        fprintf(out, "%s\n", text.data);
    weir_status status = text.status;
    weir_text_release(&text);
    return status;
}
