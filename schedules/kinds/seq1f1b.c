/* seq1f1b: 1F1B over slices of sequences, which fill the pipeline sooner and hold less.
 *
 * Source: Sun et al., "Seq1F1B: efficient sequence-level pipeline parallelism", arXiv 2406.03488.  With k slices unit u is slice
 * u mod k of micro-batch u div k; a slice's forward looks at the keys and values of the slices before it, so their gradients come
 * from the slices behind: the backwards of a micro-batch run from its last slice to its first.
 *
 *     3 ranks, 2 micro-batches of 2 slices: units 0 1, 2 3
 *       r0  F0 F1 F2 F3 .  .  .  .  B1 B1 .  B0 B0 .  B3 B3 B2 B2
 *       r1  .  F0 F1 F2 .  .  B1 B1 F3 B0 B0 .  B3 B3 B2 B2 .  .
 *       r2  .  .  F0 F1 B1 B1 F2 B0 B0 F3 B3 B3 B2 B2 .  .  .  .
 *
 * Rank r warms up with w = min(p-2-r+k, mk) forwards, runs mk - w pairs F B, and ends with w backwards.  One slice is 1f1b.
 * Constraints: one chunk per rank; any m and k.   Bubble: (p-1)(F+B)/k.   Peak in flight: min(p-1-r+k, mk) slices. */
#include "schedules/kinds/builder.h"
#include "schedules/kinds/kinds.h"

static int slices_of(const struct weir_schedule_params *params)
{
    return params->n_slices > 1 ? params->n_slices : 1;
}

static int warm_up(const struct weir_schedule_params *params, int rank)
{
    int k = slices_of(params);
    return weir_int_min(params->n_ranks - 2 - rank + k, params->n_microbatches * k);
}

/* The unit whose backward is the `index`th of a rank. */
static int backward_at(int index, int k)
{
    return index / k * k + k - 1 - index % k;
}

static void rank_build(struct weir_builder *builder, const struct weir_schedule_params *params, int rank)
{
    int k = slices_of(params), units = params->n_microbatches * k, w = warm_up(params, rank);
    for (int i = 0; i < units + w; i++) {
        if (i < units)
            weir_builder_add(builder, rank, WEIR_F, rank, i);
        if (i >= w)
            weir_builder_add(builder, rank, WEIR_B, rank, backward_at(i - w, k));
    }
}

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    struct weir_builder builder;
    struct weir_schedule_params units = *params;
    units.n_microbatches = params->n_microbatches * slices_of(params);
    weir_status status = weir_builder_open(&builder, &units, params->n_ranks, 1, 2 * (size_t)units.n_microbatches, arena);
    if (status)
        return status;
    builder.schedule.n_slices = slices_of(params);
    for (int r = 0; r < params->n_ranks; r++)
        rank_build(&builder, params, r);
    weir_builder_close(&builder, out);
    return WEIR_OK;
}

static int peak_in_flight(const struct weir_schedule_params *params, int rank)
{
    int k = slices_of(params);
    return weir_int_min(params->n_ranks - 1 - rank + k, params->n_microbatches * k);
}

static double makespan(const struct weir_schedule_params *params)
{
    return 3.0 * params->n_microbatches + 3.0 * (params->n_ranks - 1) / slices_of(params);
}

const struct weir_schedule_kind weir_kind_seq1f1b = {
    .name = "seq1f1b",
    .summary = "1F1B over slices of each sequence; bubble and memory shrink with them",
    .n_chunks = 1,
    .takes_slices = true,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
