/* weir evaluate: the loss of a model on data, by the validation of `weir train`. */
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/printable.h"
#include "cmd/command.h"
#include "cmd/train.h"

#define ROW(name, letter, kind, field, argument, help, ...)                                                            \
    {name, letter, kind, offsetof(struct train_options, field), argument, help, __VA_ARGS__}

static const struct option_row rows[] = {
    ROW("model", 'm', OPTION_TEXT, model, "NAME|PATH", "model, or a folder with config.json (that of --init-from)", 0, 0),
    ROW("init-from", 0, OPTION_TEXT, init_from, "PATH", "read the weights from safetensors: a file or a model folder", 0, 0),
    ROW("data", 'd', OPTION_TEXT, val_data, "PATH", "files of text or tokens (a,b or 'x*.bin'), or a folder of IDX images", 0, 0),
    ROW("data-format", 0, OPTION_TEXT, data_format, "NAME", "auto (default), text, u16, u32, i64, llmc, megatron, npy or jsonl", 0, 0),
    ROW("tokenizer", 0, OPTION_TEXT, tokenizer, "PATH", "reads texts: folder or file (the model's own), or bytes", 0, 0),
    ROW("batches", 0, OPTION_INT, val_batches, "N", "step-sized batches (all there are)", 1, 1e12),
    ROW("stages", 0, OPTION_INT, stages, "S", "pipeline stages (1)", 1, 65536),
    ROW("ranks", 'p', OPTION_INT, ranks, "P", "or: ranks (--pp), each with --chunks stages", 1, 65536),
    ROW("chunks", 0, OPTION_INT, chunks, "V", "stages per rank (the schedule's own)", 1, 65536),
    ROW("replicas", 0, OPTION_INT, replicas, "D", "copies of the pipeline on different micro-batches (1)", 1, 64),
    ROW("microbatches", 0, OPTION_INT, microbatches, "M", "micro-batches per batch and replica (1)", 1, 1048576),
    ROW("microbatch-size", 0, OPTION_INT, microbatch_size, "B", "samples per micro-batch (4)", 1, 1048576),
    ROW("seq-len", 0, OPTION_INT, seq_len, "T", "tokens per sample (the model's own)", 1, 1048576),
    ROW("schedule", 0, OPTION_TEXT, schedule, "NAME|FILE", "pipeline schedule or schedule CSV (1f1b)", 0, 0),
    ROW("dialect", 0, OPTION_TEXT, dialect, "NAME", "letters of a schedule file: torch (default) or torch-2024", 0, 0),
    ROW("threads-per-rank", 0, OPTION_INT, threads, "N", "threads of each rank (1)", 1, 4096),
    ROW("timeout", 0, OPTION_REAL, timeout, "SECONDS", "end when a rank is silent or in one call for so long (60); 0: never", 0, 1e6),
    ROW("device", 0, OPTION_TEXT, device, "LIST", "cpu (default), cuda, or one per rank: cuda:0,cuda:1", 0, 0),
    ROW("dtype", 0, OPTION_TEXT, dtype, "NAME", "f32 (default), bf16, or on cuda tf32", 0, 0),
    ROW("device-memory", 0, OPTION_BYTES, device_memory, "BYTES", "refuse a run that needs more per rank", 1, 0x1p62),
    ROW("transport", 0, OPTION_TEXT, transport, "NAME", "local, shm, mpi or nccl (chosen by device and launcher)", 0, 0),
    ROW("placement", 0, OPTION_TEXT, placement, "ORDER", "of processes: cluster (default) or spread", 0, 0),
    ROW("config", 'c', OPTION_TEXT, config, "FILE", "read options from a JSON object; the command line wins", 0, 0),
    ROW("json", 0, OPTION_FLAG, json, NULL, "print the result as one JSON object", 0, 0),
    ROW("quiet", 'q', OPTION_FLAG, quiet, NULL, "the loss alone", 0, 0),
    {0},
};

static const struct option_table table = {"evaluate", "", "measure the loss of a model on data",
                                          "weir evaluate --init-from model/ --data held-out.txt", rows, NULL};

/* What was fed, in samples and targets. */
static int64_t samples_of(const struct train_run *run)
{
    return run->val_batches * train_samples(run);
}

static int64_t targets_of(const struct train_run *run)
{
    return run->val_batches * train_targets(run);
}

static void json_print(const struct train_run *run)
{
    enum { DIGITS = 17 };
    struct weir_text text = {0};
    json_t *root = json_pack("{s:o, s:I, s:I, s:I, s:f, s:f}", "model", weir_json_utf8(run->model->name), "samples",
                             (json_int_t)samples_of(run), "samples_there",
                             (json_int_t)weir_data_info(run->validation.data)->n_samples, "targets", (json_int_t)targets_of(run),
                             "loss", run->val_loss, "perplexity", exp(run->val_loss));
    train_data_json(run, root);
    weir_json_append(&text, root, DIGITS);
    if (text.status)
        options_report("evaluate", text.status);
    else
        printf("%s\n", text.data);
    weir_text_release(&text);
}

static void result_show(struct train_run *run)
{
    char shown[4096];
    if (run->options->json)
        json_print(run);
    else if (run->options->quiet)
        printf("%.17g\n", run->val_loss);
    else
        printf("%s on %" PRId64 " of %" PRId64 " samples: loss %.4f, perplexity %.4g\n",
               weir_printable(run->model->name, shown, sizeof shown), samples_of(run),
               weir_data_info(run->validation.data)->n_samples, run->val_loss, exp(run->val_loss));
}

/* Of a folder; a file of weights has no model. */
static const char *model_of(const char *init_from, char config[PATH_MAX])
{
    struct stat info;
    if (!init_from || (stat(init_from, &info) == 0 && !S_ISDIR(info.st_mode)))
        return NULL;
    snprintf(config, PATH_MAX, "%s/config.json", init_from);
    return config;
}

static int run_evaluate(int argc, char **argv)
{
    char config[PATH_MAX];
    struct train_options o = TRAIN_OPTIONS_DEFAULT;
    int n;
    enum option_outcome outcome;
    o.evaluates = true;
    o.steps = 0;
    o.optimizer = "sgd"; /* which keeps nothing of its own */
    weir_status status = options_parse(&o.given, &table, argc, argv, &o, NULL, 0, &n, &outcome);
    o.model = o.model ? o.model : model_of(o.init_from, config);
    int code = status || outcome == OPTIONS_HELP_SHOWN ? options_report("evaluate", status) : train_do(&o, result_show);
    options_release(&o.given);
    return code;
}

static const struct option_table *const tables[] = {&table, NULL};
const struct command command_evaluate = {"evaluate", "measure the loss of a model on data", tables, run_evaluate, false};
