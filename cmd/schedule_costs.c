/* weir schedule costs: the costs file of a model, for weir schedule simulate. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cmd/measured_costs.h"
#include "cmd/paths.h"
#include "cmd/schedule_boundaries.h"
#include "cmd/schedule_command.h"
#include "cmd/schedule_input.h"
#include "include/weir/plan.h"

struct values {
    const char *out, *recompute, *dtype, *optimizer;
    int64_t stages, microbatch_size, seq_len;
    double flops, traffic;
};

static const struct option_row rows[] = {
    {"stages", 0, OPTION_INT, offsetof(struct values, stages), "S", "stages of the schedule (default 2)", 1, 1048576},
    {"microbatch-size", 0, OPTION_INT, offsetof(struct values, microbatch_size), "B", "samples per micro-batch (4)", 1,
     1048576},
    {"seq-len", 0, OPTION_INT, offsetof(struct values, seq_len), "T", "tokens per sample (default: the model's)", 1,
     1048576},
    {"recompute", 0, OPTION_TEXT, offsetof(struct values, recompute), "LIST",
     "none (default), full, or layers run again in backward", 0, 0},
    {"dtype", 0, OPTION_TEXT, offsetof(struct values, dtype), "NAME", "of values, f32 (default) or bf16", 0, 0},
    {"optimizer", 0, OPTION_TEXT, offsetof(struct values, optimizer), "NAME", "adamw (default) or sgd", 0, 0},
    {"flops", 0, OPTION_REAL, offsetof(struct values, flops), "PER_S",
     "of a device; default 150e9, a core with AVX-512", 1, 1e18},
    {"traffic", 0, OPTION_REAL, offsetof(struct values, traffic), "BYTES_PER_S", "of a device's memory; default 15e9",
     1, 1e18},
    {"out", 'o', OPTION_TEXT, offsetof(struct values, out), "FILE", "write there instead of to standard output", 0, 0},
    {0},
};

const struct option_table schedule_costs_table = {
    "schedule costs", "MODEL|TRACE", "write what stages take and hold, of a model or as a trace has it, for --costs",
    "weir schedule costs gpt2-tiny --stages 4 -o costs.json", rows, NULL};

static weir_status config_parse(const struct values *values, struct weir_engine_config *config)
{
    static const char *const dtypes[] = {"f32", "bf16", NULL}, *const optimizers[] = {"sgd", "adamw", NULL};
    int dtype = 0, optimizer = WEIR_OPTIMIZER_ADAMW;
    weir_status status = values->dtype ? weir_name_find("dtype", values->dtype, dtypes, &dtype) : WEIR_OK;
    if (!status && values->optimizer)
        status = weir_name_find("optimizer", values->optimizer, optimizers, &optimizer);
    config->dtype = dtype ? WEIR_COMPUTE_BF16 : WEIR_COMPUTE_F32;
    config->optimizer = (enum weir_optimizer)optimizer; /* in the order of the names */
    config->recompute = values->recompute;
    return status;
}

static weir_status costs_write(const struct values *values, const struct weir_stage_costs *stages, int n, const struct measured_beside *beside)
{
    struct weir_text text = {0};
    measured_costs_print(stages, n, "stages", beside, &text);
    weir_status status = text.status ? text.status : schedule_text_write(values->out, text.data);
    weir_text_release(&text);
    return status;
}

/* Before anything is read: what is written is no file of the model. */
static weir_status paths_register(const char *model, const char *output)
{
    struct paths paths = {0};
    paths_read_model_name(&paths, "MODEL", model);
    paths_write(&paths, "--out", output);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    return status;
}

/* A trace of weir train or of a simulation, or a costs file. */
static bool is_file_of_costs(const char *what)
{
    struct stat info;
    const char *slash = strrchr(what, '/'), *name = slash ? slash + 1 : what;
    return strcmp(name, "config.json") != 0 && !stat(what, &info) && S_ISREG(info.st_mode);
}

static weir_status of_file(const struct values *values, const struct options *given, const char *path)
{
    static const char *const of_model[] = {"stages", "microbatch-size", "seq-len", "recompute", "dtype", "optimizer", "flops", "traffic", NULL};
    struct weir_arena arena = {0};
    struct weir_schedule_costs read = {.optimizer = -1};
    for (int i = 0; of_model[i]; i++)
        if (options_given(given, of_model[i]))
            return WEIR_FAIL(WEIR_ERR_USAGE, "--%s is about a model, '%s' has its times: leave it out", of_model[i], path);
    weir_status status = paths_register(path, values->out);
    if (!status)
        status = weir_schedule_costs_load(path, &arena, &read);
    if (!status && !read.stages)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no times of stages", path);
    if (!status)
        status = costs_write(values, read.stages, read.n_stages, &(struct measured_beside){read.optimizer, read.transfer, read.flight});
    weir_arena_release(&arena);
    return status;
}

static weir_status costs(const struct values *values, const char *model)
{
    struct weir_arena arena = {0};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    struct weir_ceilings ceilings = {values->flops, values->traffic, 1}; /* links are simulate's: --comm */
    const struct weir_stage_costs *stages;
    weir_status status = paths_register(model, values->out);
    if (!status)
        status = config_parse(values, &config);
    if (!status)
        status = schedule_model_build(model, values->microbatch_size, values->seq_len, &arena, &config.graph);
    if (!status)
        status = weir_stage_costs_find(&config, (int)values->stages, &ceilings, &arena, &stages);
    if (!status)
        status = costs_write(values, stages, (int)values->stages, &(struct measured_beside){.optimizer_ms = 0});
    weir_arena_release(&arena);
    return status;
}

int schedule_costs_run(int argc, char **argv)
{
    struct values values = {.stages = 2, .microbatch_size = 4, .flops = 150e9, .traffic = 15e9};
    const char *model = NULL;
    int n = 0;
    struct options given; /* nothing to release without --config */
    enum option_outcome outcome;
    weir_status status = options_parse(&given, &schedule_costs_table, argc, argv, &values, &model, 1, &n, &outcome);
    if (!status && outcome == OPTIONS_HELP_SHOWN)
        return 0;
    if (!status && !n)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "MODEL or TRACE is missing: 'weir schedule costs --help' shows the options");
    if (!status)
        status = is_file_of_costs(model) ? of_file(&values, &given, model) : costs(&values, model);
    return options_report("schedule costs", status);
}
