/* Find how two devices train a model fastest, keep the plan in a file, and train a step by it. */
#include <stdio.h>
#include <weir/info.h>
#include <weir/plan.h>

enum { POSITIONS = 32, SAMPLES = 8 };

static weir_status graph_build(struct weir_arena *arena, const struct weir_graph **graph_out)
{
    const struct weir_model_kind *kind;
    const struct weir_model_params params = {.microbatch_size = 1, .seq_len = POSITIONS};
    weir_status status = weir_model_find("gpt2-tiny", &kind);
    return status ? status : weir_model_build(kind, &params, arena, graph_out);
}
static weir_status plan_find(const struct weir_graph *graph, weir_plans **plans_out)
{
    struct weir_plan_request request;
    weir_plan_request_init(&request, sizeof request);
    request.graph = graph;
    request.model = "gpt2-tiny";
    request.n_devices = 2;
    request.global_batch = SAMPLES;
    return weir_plans_find(&request, plans_out);
}
static weir_status step_run(weir_engine *engine, int n, struct weir_step_report *report)
{
    static int32_t tokens[SAMPLES * POSITIONS]; /* one token, over and over */
    weir_status status = WEIR_OK;
    for (int mb = 0; mb < n && !status; mb++) {
        status = weir_engine_feed(engine, "tokens", mb, tokens);
        status = status ? status : weir_engine_feed(engine, "targets", mb, tokens);
    }
    return status ? status : weir_engine_step(engine, 1e-3, report);
}
int main(void)
{
    struct weir_arena arena = {0};
    struct weir_engine_config config;
    struct weir_plan_info plan = {.n_ranks = 0};
    struct weir_step_report report = {.loss = 0};
    weir_plans *plans = NULL;
    weir_engine *engine = NULL;
    weir_engine_config_init(&config, sizeof config);
    weir_status status = graph_build(&arena, &config.graph);
    status = status ? status : plan_find(config.graph, &plans);
    status = status ? status : weir_plans_info(plans, 0, &plan);
    status = status ? status : weir_plans_write(plans, 0, "plan.json"); /* for weir train --plan */
    status = status ? status : weir_plans_configure(plans, 0, &config);
    status = status ? status : weir_engine_open(&config, &engine);
    status = status ? status : step_run(engine, (int)(plan.n_replicas * plan.n_microbatches), &report);
    if (status)
        printf("%s\n", weir_last_error());
    else
        printf("%s with %d ranks, %d replicas: %.2f ms predicted on 2 devices, %.2f ms measured on %d cores\n", plan.schedule,
               plan.n_ranks, plan.n_replicas, plan.step_ms, (double)report.step_ns / 1e6, weir_info_cores());
    weir_engine_close(engine);
    weir_plans_close(plans); /* what it has configured lived until here */
    weir_arena_release(&arena);
    return status || !(report.loss > 0);
}
