#include "cmd/plan_output.h"

#include <stdio.h>
#include <string.h>

#include "base/replace.h"
#include "cmd/synonyms.h"
#include "engine/weir.h"

/* Parts along the data flow are intervals of the chain of layers. */
static weir_status cut_make(const struct weir_plan *plan, struct weir_arena *arena, struct weir_layer_cut *cut_out)
{
    int *first_layer, n = 0;
    weir_status status = weir_arena_alloc(arena, (size_t)plan->n_parts + 1, sizeof *first_layer, &first_layer);
    if (status)
        return status;
    for (int i = 0; i < plan->n_parts; i++) {
        first_layer[i] = n;
        n += plan->parts[i].n_nodes;
    }
    first_layer[plan->n_parts] = n;
    *cut_out = (struct weir_layer_cut){plan->n_parts, first_layer};
    return WEIR_OK;
}

/* The schedule takes so many stages, one on each rank. */
static weir_status schedule_settle(const char *word, int n_stages, int64_t n_microbatches, const char **name_out)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    const char *name = word ? schedule_understood(word) : "1f1b";
    weir_status status = weir_pipeline_is_file(name)
                             ? WEIR_FAIL(WEIR_ERR_USAGE, "a plan names its schedule: '%s' is a file", name)
                             : weir_pipeline_schedule(name, n_stages, 1, (int)n_microbatches, &arena, &schedule);
    weir_arena_release(&arena);
    if (!status)
        *name_out = name;
    return status;
}

static weir_status choices_settle(const struct plan_output *output, struct weir_plan_file *plan)
{
    static const char *const optimizers[] = {"sgd", "adamw", NULL}, *const devices[] = {"cpu", "cuda", NULL};
    bool bf16 = output->dtype && !strcmp(output->dtype, "bf16");
    int found;
    plan->dtype = bf16 ? "bf16" : "f32";
    plan->recompute = output->recompute ? output->recompute : "none";
    plan->optimizer = output->optimizer ? name_understood(output->optimizer, optimizers, NULL) : "adamw";
    plan->device = output->device ? output->device : bf16 ? "cuda" : "cpu";
    weir_status status = weir_name_find("optimizer", plan->optimizer, optimizers, &found);
    if (!status)
        status = weir_name_find("device", plan->device, devices, &found);
    if (!status && bf16 && !strcmp(plan->device, "cpu"))
        status = WEIR_FAIL(WEIR_ERR_USAGE, "device 'cpu' has no bf16: use --dtype f32");
    return status ? status : schedule_settle(output->schedule, plan->cut.n_stages, plan->n_microbatches, &plan->schedule);
}

static int64_t sequence(const struct weir_graph *graph)
{
    return graph->inputs[0].shape.n_dims == 2 && graph->inputs[0].shape.dtype == WEIR_DTYPE_I32 ? graph->inputs[0].shape.dims[1] : 0;
}

weir_status plan_output_write(const struct plan_output *output, const struct weir_plan *split)
{
    struct weir_arena arena = {0};
    struct weir_text text = {0};
    struct weir_plan_file plan = {.model = output->model, .library = weir_version(), .n_chunks = 1, .n_replicas = 1,
                                  .n_parameters = weir_graph_n_elements(output->graph), .n_microbatches = output->n_microbatches,
                                  .microbatch_size = output->graph->microbatch_size, .seq_len = sequence(output->graph)};
    weir_status status = cut_make(split, &arena, &plan.cut);
    if (!status)
        status = choices_settle(output, &plan);
    if (!status)
        status = weir_plan_file_hash(output->graph, &arena, &plan.model_hash);
    if (!status)
        status = weir_plan_file_write(&plan, NULL, &text);
    if (!status)
        status = weir_file_write(output->path, text.data, text.length);
    weir_text_release(&text);
    weir_arena_release(&arena);
    return status;
}

weir_status plan_output_layout(const struct weir_graph *graph, const struct weir_plan *plan)
{
    struct weir_arena arena = {0};
    struct weir_text text = {0};
    struct weir_layer_cut cut;
    weir_status status = cut_make(plan, &arena, &cut);
    if (!status)
        status = weir_layer_cut_layout_print(&cut, graph, &text);
    if (!status)
        printf("%s\n", text.data);
    weir_text_release(&text);
    weir_arena_release(&arena);
    return status;
}
