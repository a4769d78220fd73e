/* weir train: train a model on a pipeline of devices. */
#include "cmd/train.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/printable.h"
#include "cmd/command.h"
#include "cmd/launched.h"
#include "include/weir/graph.h"
#include "include/weir/info.h"

#define ROW(name, letter, kind, field, argument, help, ...)                                                            \
    {name, letter, kind, offsetof(struct train_options, field), argument, help, __VA_ARGS__}

static const struct option_row rows[] = {
    ROW("model", 'm', OPTION_TEXT, model, "NAME|PATH", "model; list shows them; or a folder with config.json", 0, 0),
    ROW("data", 'd', OPTION_TEXT, data, "PATH", "files of text or tokens (a,b or 'x*.bin'), or a folder of IDX images", 0, 0),
    ROW("init-from", 0, OPTION_TEXT, init_from, "PATH", "read the weights from safetensors: a file or a model folder", 0, 0),
    ROW("export", 0, OPTION_TEXT, export, "DIR", "write a Hugging Face model folder at the end, also after ^C", 0, 0),
    ROW("stages", 0, OPTION_INT, stages, "S", "pipeline stages (2)", 1, 65536),
    ROW("ranks", 'p', OPTION_INT, ranks, "P", "or: ranks (--pp), each with --chunks stages", 1, 65536),
    ROW("schedule", 0, OPTION_TEXT, schedule, "NAME|FILE", "pipeline schedule or schedule CSV (1f1b); list shows them", 0, 0),
    ROW("replicas", 0, OPTION_INT, replicas, "D", "copies of the pipeline on different micro-batches (1)", 1, 64),
    ROW("microbatches", 0, OPTION_INT, microbatches, "M", "micro-batches per step and replica (4)", 1, 1048576),
    ROW("microbatch-size", 0, OPTION_INT, microbatch_size, "B", "samples per micro-batch (4)", 1, 1048576),
    ROW("seq-len", 0, OPTION_INT, seq_len, "T", "tokens per sample (the model's own)", 1, 1048576),
    ROW("steps", 'n', OPTION_INT, steps, "N", "steps to train (200); 0: validate, export", 0, 1e15),
    ROW("lr", 0, OPTION_REAL, lr, "RATE", "learning rate (0.001 for adamw, 0.1 for sgd)", 0, 1e6),
    ROW("seed", 0, OPTION_INT, seed, "N", "seed of initial values, data order and dropout (1)", 0, 9e15),
    ROW("device", 0, OPTION_TEXT, device, "LIST", "cpu (default), cuda, null (a dry run), or one per rank: cuda:0,cuda:1", 0, 0),
    ROW("checkpoint-dir", 0, OPTION_TEXT, checkpoint_dir, "DIR", "write checkpoints into DIR/step-N, one at the end always", 0, 0),
    ROW("resume", 0, OPTION_FLAG, resume, NULL, "go on from the newest whole checkpoint, or begin where there is none", 0, 0),
    ROW("metrics", 0, OPTION_TEXT, metrics, "FILE", "write one JSON object per step, also of a run that ^C ends", 0, 0),
    ROW("trace", 0, OPTION_TEXT, trace, "FILE", "write a Chrome trace of the first steps, also after ^C: ui.perfetto.dev", 0, 0),
    ROW("profile", 0, OPTION_FLAG, profile, NULL, "print at the end, also after ^C, where the time of the steps went", 0, 0),
    ROW("print-memory", 0, OPTION_WORD, print_memory, "[full]", "print what each rank takes and stop; full: every tensor", 0, 0),
    ROW("config", 'c', OPTION_TEXT, config, "FILE", "read options from a JSON object; the command line wins", 0, 0),
    ROW("json", 0, OPTION_FLAG, json, NULL, "print the result as one JSON object", 0, 0),
    ROW("quiet", 'q', OPTION_FLAG, quiet, NULL, "no progress", 0, 0),
    ROW("tokenizer", 0, OPTION_TEXT, tokenizer, "PATH", "reads texts: folder or file (the model's own), or bytes", 0, 0),
    ROW("data-format", 0, OPTION_TEXT, data_format, "NAME", "auto (default), text, u16, u32, i64, llmc, megatron, npy or jsonl", 0, 0),
    ROW("val-data", 0, OPTION_TEXT, val_data, "PATH", "data to validate on, in the same forms", 0, 0),
    ROW("val-every", 0, OPTION_INT, val_every, "N", "steps between validations (a tenth of --steps)", 1, 1e15),
    ROW("val-batches", 0, OPTION_INT, val_batches, "N", "step-sized batches of one validation (10, or all there are)", 1, 1e12),
    ROW("optimizer", 0, OPTION_TEXT, optimizer, "NAME", "adamw (default) or sgd", 0, 0),
    ROW("lr-schedule", 0, OPTION_TEXT, lr_schedule, "NAME", "constant (default) or cosine", 0, 0),
    ROW("min-lr", 0, OPTION_REAL, min_lr, "RATE", "where the cosine ends (a tenth of --lr)", 0, 1e6),
    ROW("warmup", 0, OPTION_INT, warmup, "N", "steps of linear warm-up (0; cosine: a tenth of --steps)", 0, 1e15),
    ROW("weight-decay", 0, OPTION_REAL, weight_decay, "X", "decoupled weight decay (0.1 for adamw, 0 for sgd)", 0, 1e6),
    ROW("grad-clip", 0, OPTION_REAL, grad_clip, "NORM", "clip the global gradient norm to this (1); 0: no clipping", 0, 1e30),
    ROW("dropout", 0, OPTION_REAL, dropout, "P", "probability of dropping an element (0)", 0, 0.999),
    ROW("adam-beta1", 0, OPTION_REAL, beta1, "B", "adamw: decay of the mean of gradients (0.9)", 0, 0.999999),
    ROW("adam-beta2", 0, OPTION_REAL, beta2, "B", "adamw: decay of the mean of their squares (0.95)", 0, 0.999999),
    ROW("adam-eps", 0, OPTION_REAL, eps, "X", "adamw: added to the root of that mean (1e-8)", 1e-30, 1),
    ROW("on-nan", 0, OPTION_TEXT, on_nan, "WHAT", "numbers not finite: stop (default), skip the samples, or rollback", 0, 0),
    ROW("slices", 0, OPTION_INT, slices, "K", "cut each sequence into K slices for the pipeline: seq1f1b (1)", 1, 65536),
    ROW("chunks", 0, OPTION_INT, chunks, "V", "stages per rank (the schedule's own)", 1, 65536),
    ROW("first-layers", 0, OPTION_TEXT, first_layers, "LIST", "cut the model there: the first layer of each stage, as in 0,5,9", 0, 0),
    ROW("layout", 0, OPTION_TEXT, layout, "TEXT", "or in Megatron-LM's letters: 'Et*3|(tt|)*2tL'", 0, 0),
    ROW("plan", 0, OPTION_TEXT, plan, "FILE", "model, cut, schedule and batch of a plan (weir plan -o)", 0, 0),
    ROW("costs", 0, OPTION_TEXT, costs, "FILE", "times of stages or layers in ms (weir profile): a slow rank is named", 0, 0),
    ROW("memory-cap", 0, OPTION_BYTES, memory_cap, "BYTES", "schedule auto: activations on a rank (what 1f1b holds)", 1, 0x1p62),
    ROW("dialect", 0, OPTION_TEXT, dialect, "NAME", "letters of a schedule file: torch (default) or torch-2024", 0, 0),
    ROW("zero", 0, OPTION_INT, zero, "0|1", "1: shard the optimizer state over the replicas, ZeRO-1 (0)", 0, 1),
    ROW("bucket-bytes", 0, OPTION_BYTES, bucket_bytes, "BYTES", "gradients reduced together (an eighth of the stage's)", 0, 0),
    ROW("placement", 0, OPTION_TEXT, placement, "ORDER", "of processes: cluster (default) or spread, see weir info --placement", 0, 0),
    ROW("transport", 0, OPTION_TEXT, transport, "NAME", "local, shm, mpi or nccl (chosen by device and launcher); list", 0, 0),
    ROW("dtype", 0, OPTION_TEXT, dtype, "NAME", "f32 (default), bf16, or on cuda tf32", 0, 0),
    ROW("device-memory", 0, OPTION_BYTES, device_memory, "BYTES", "refuse a run that needs more per rank", 1, 0x1p62),
    ROW("recompute", 0, OPTION_TEXT, recompute, "LIST", "none (default), full, or layers (h.*.mlp,head) to run again in backward", 0, 0),
    ROW("pack", 0, OPTION_FLAG, pack, NULL, "cpu: bring weights into the matrix library's form once a step; more memory", 0, 0),
    ROW("threads-per-rank", 0, OPTION_INT, threads, "N", "threads of each rank (1)", 1, 4096),
    ROW("timeout", 0, OPTION_REAL, timeout, "SECONDS", "end when a rank is silent or in one call for so long (60); 0: never", 0, 1e6),
    ROW("checkpoint-every", 0, OPTION_TEXT, checkpoint_every, "N|TIME", "steps or time (90s, 30m) between checkpoints (10m)", 0, 0),
    ROW("keep", 0, OPTION_INT, keep, "K", "whole checkpoints that stay (all)", 1, 1e9),
    ROW("keep-best", 0, OPTION_FLAG, keep_best, NULL, "write one after each best validation; the best stays too", 0, 0),
    ROW("checkpoint-sync", 0, OPTION_FLAG, checkpoint_sync, NULL, "write them between steps, without a copy of the state", 0, 0),
    ROW("new-data", 0, OPTION_FLAG, new_data, NULL, "with --resume: other data, from their first sample on", 0, 0),
    ROW("stop-after", 0, OPTION_TIME, stop_after, "TIME", "finish the step, save and end then (2h, 90s)", 0, 0),
    ROW("grace", 0, OPTION_TIME, grace, "TIME", "after a signal: end without, when step and save take longer (120s)", 0, 0),
    ROW("export-dtype", 0, OPTION_TEXT, export_dtype, "NAME", "of the exported weights: source (default), f32, bf16 or f16", 0, 0),
    ROW("export-shard-size", 0, OPTION_BYTES, export_shard_size, "BYTES", "most bytes of weights in one file of the export (5GB)", 1, 0x1p62),
    ROW("force", 0, OPTION_FLAG, force, NULL, "replace what is there: a model of others, metrics of another run", 0, 0),
    ROW("peak-flops", 0, OPTION_REAL, peak_flops, "PER_S", "what all ranks together can do: metrics get mfu", 1, 1e30),
    ROW("save-costs", 0, OPTION_TEXT, save_costs, "FILE", "write the time of F, I and W of each stage, for simulate and draw --costs", 0, 0),
    ROW("print-program", 0, OPTION_FLAG, print_program, NULL, "print the step program and stop", 0, 0),
    {0},
};

static const struct option_group groups[] = {
    {"data", "tokenizer", "texts, tokens and validation"},
    {"learning", "optimizer", "the optimizer and its rate"},
    {"layout", "chunks", "where the model is cut, and what runs where"},
    {"machine", "dtype", "numbers, memory and threads"},
    {"checkpoints", "checkpoint-every", "going on, and being stopped"},
    {"output", "export-dtype", "what a run writes"},
    {0},
};

static const struct option_table table = {
    "train", "", "train a model on a pipeline of devices",
    "weir train --model gpt2-tiny --data book.txt --stages 2 --steps 300", rows, groups};

static void models_list(void)
{
    for (int i = 0; weir_model_at(i); i++)
        printf("%-12s %s\n", weir_model_at(i)->name, weir_model_at(i)->summary);
}

static void schedules_list(void)
{
    for (int i = 0; weir_schedule_kind_at(i); i++)
        printf("%-16s %s\n", weir_schedule_kind_at(i)->name, weir_schedule_kind_at(i)->summary);
    printf("%-16s %s\n", "auto", "made for what the model's stages cost, in the memory that 1f1b takes");
}

static void devices_list(void)
{
    for (int i = 0; weir_info_device(i); i++)
        printf("%-12s %s\n", weir_info_device(i), weir_info_device_summary(i));
}

static void transports_list(void)
{
    for (int i = 0; weir_info_transport(i); i++)
        printf("%-12s %s\n", weir_info_transport(i), weir_info_transport_summary(i));
}

/* --model list and its like print the set and end. */
static bool list_shown(const struct train_options *o)
{
    const struct {
        const char *value;
        void (*show)(void);
    } sets[] = {{o->model, models_list}, {o->schedule, schedules_list}, {o->device, devices_list},
                {o->transport, transports_list}};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        if (sets[i].value && !strcmp(sets[i].value, "list")) {
            sets[i].show();
            return true;
        }
    return false;
}

/* jansson has no numbers that are not finite. */
static json_t *real_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void result_json_print(struct train_run *run)
{
    enum { DIGITS = 17 };
    struct weir_text text = {0};
    json_t *root = json_object();
    json_object_set_new(root, "model", weir_json_utf8(run->model->name));
    json_object_set_new(root, "steps", json_integer(run->n_done));
    json_object_set_new(root, "stages", json_integer(run->schedule.n_stages));
    json_object_set_new(root, "ranks", json_integer(run->n_ranks));
    if (train_is_dry(run->options))
        json_object_set_new(root, "dry", json_true());
    json_object_set_new(root, "loss_first", real_json(run->first_loss));
    json_object_set_new(root, "loss_last", real_json(run->last_loss));
    json_object_set_new(root, "wgrad_order", json_string(train_wgrad_order(run)));
    if (!isnan(run->val_loss))
        json_object_set_new(root, "val_loss_last", real_json(run->val_loss));
    train_data_json(run, root);
    json_object_set_new(root, "stopped", json_boolean(run->stopped));
    if (run->profile)
        json_object_set_new(root, "profile", train_profile_json(run));
    weir_json_append(&text, root, DIGITS);
    if (text.status)
        options_report("train", text.status);
    else
        printf("%s\n", text.data);
    weir_text_release(&text);
}

static void result_print(struct train_run *run)
{
    char shown[4096];
    if (!run->n_done) { /* --steps 0 */
        printf("%s took no step", weir_printable(run->model->name, shown, sizeof shown));
        if (!isnan(run->val_loss))
            printf(": loss %.4f in validation", run->val_loss);
        printf("\n");
        return;
    }
    if (run->n_done == run->first_step) { /* resumed at its end */
        printf("%s was trained for %" PRId64 " step%s already\n", weir_printable(run->model->name, shown, sizeof shown), run->n_done,
               plural(run->n_done));
        return;
    }
    if (train_is_dry(run->options)) {
        printf("issued %" PRId64 " step%s of %s on %d stage%s: a dry run, nothing was computed\n", run->n_done, plural(run->n_done),
               weir_printable(run->model->name, shown, sizeof shown), run->schedule.n_stages, plural(run->schedule.n_stages));
        return;
    }
    printf("trained %s for %" PRId64 " step%s on %d stage%s: loss %.4f at the start, %.4f at the end",
           weir_printable(run->model->name, shown, sizeof shown), run->n_done, plural(run->n_done), run->schedule.n_stages,
           plural(run->schedule.n_stages), run->first_loss, run->last_loss);
    if (!isnan(run->val_loss))
        printf(", %.4f in validation", run->val_loss);
    printf("\n");
}

static void result_show(struct train_run *run)
{
    if (run->options->json)
        result_json_print(run);
    else if (!run->options->quiet)
        result_print(run);
}

static int run_train(int argc, char **argv)
{
    struct train_options o = TRAIN_OPTIONS_DEFAULT;
    struct train_plan made = {.plans = NULL};
    int n;
    enum option_outcome outcome;
    weir_status status = options_parse(&o.given, &table, argc, argv, &o, NULL, 0, &n, &outcome);
    bool done = status || outcome == OPTIONS_HELP_SHOWN || list_shown(&o);
    if (!done)
        status = train_plan_fill(&o, &made);
    if (!done && !status)
        status = train_checkpoint_fill(&o);
    done = done || status;
    int code = done ? train_failed(&o, status, launched_leads(), false) : train_do(&o, result_show);
    options_release(&o.given);
    weir_plans_close(made.plans);
    return code;
}

static const struct option_table *const tables[] = {&table, NULL};
const struct command command_train = {"train", "train a model on a pipeline of devices", tables, run_train, false};
