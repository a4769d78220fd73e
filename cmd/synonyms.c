#include "cmd/synonyms.h"

#include <ctype.h>
#include <string.h>

#include "include/weir/schedule.h"

#define MEGATRON "Megatron-LM"
#define TITAN "torchtitan"
#define DEEPSPEED "DeepSpeed"
#define HF "Transformers"
#define OTHERS "elsewhere"

static const char no_tensor[] = "weir has no tensor parallelism", no_context[] = "weir has no context parallelism",
                  no_expert[] = "weir has no expert parallelism",
                  model_size[] = "the model is described by its config.json: --model PATH",
                  batch_size[] = "a step has --microbatches times --microbatch-size samples, for each of --replicas",
                  several_hosts[] = "--hosts a:4,b:4 names the hosts and their processes: mpirun connects them",
                  processes[] = "weir launch and mpirun start processes",
                  bf16[] = "use --dtype bf16", no_fp16[] = "weir has no fp16: use --dtype bf16",
                  every_step[] = "every step is a line of --metrics FILE",
                  one_recompute[] = "--recompute full, or a list of layers", steps_count[] = "count steps: --steps",
                  balanced[] = "weir balances layers by cost; --first-layers and --layout say where to cut",
                  overlaps[] = "transfers overlap with work by themselves", one_kernel[] = "weir has one implementation of each layer",
                  in_background[] = "checkpoints are written in the background; --checkpoint-sync: between steps";

const struct synonym synonyms_train[] = {
    {MEGATRON, "tensor-model-parallel-size", NULL, no_tensor},
    {MEGATRON, "pipeline-model-parallel-size", "ranks", NULL},
    {MEGATRON, "virtual-pipeline-model-parallel-size", "chunks", NULL},
    {MEGATRON, "num-virtual-stages-per-pipeline-rank", "chunks", NULL},
    {MEGATRON, "num-layers-per-virtual-pipeline-stage", NULL, "weir counts stages per rank: --chunks"},
    {MEGATRON, "pipeline-model-parallel-layout", "layout", NULL},
    {MEGATRON, "context-parallel-size", NULL, no_context},
    {MEGATRON, "sequence-parallel", NULL, no_tensor},
    {MEGATRON, "expert-model-parallel-size", NULL, no_expert},
    {MEGATRON, "micro-batch-size", "microbatch-size", NULL},
    {MEGATRON, "global-batch-size", NULL, batch_size},
    {MEGATRON, "seq-length", "seq-len", NULL},
    {MEGATRON, "train-iters", "steps", NULL},
    {MEGATRON, "train-samples", NULL, steps_count},
    {MEGATRON, "lr-warmup-iters", "warmup", NULL},
    {MEGATRON, "lr-warmup-fraction", NULL, "count steps: --warmup"},
    {MEGATRON, "lr-decay-style", "lr-schedule", NULL},
    {MEGATRON, "lr-decay-iters", NULL, "the learning rate falls until the last of --steps"},
    {MEGATRON, "clip-grad", "grad-clip", NULL},
    {MEGATRON, "hidden-dropout", "dropout", NULL},
    {MEGATRON, "attention-dropout", "dropout", NULL},
    {MEGATRON, "data-path", "data", NULL},
    {MEGATRON, "train-data-path", "data", NULL},
    {MEGATRON, "valid-data-path", "val-data", NULL},
    {MEGATRON, "tokenizer-model", "tokenizer", NULL},
    {MEGATRON, "tokenizer-type", NULL, "the kind is in its files: --tokenizer PATH"},
    {MEGATRON, "vocab-file", NULL, "name their folder: --tokenizer PATH"},
    {MEGATRON, "merge-file", NULL, "name their folder: --tokenizer PATH"},
    {MEGATRON, "split", NULL, "name the files to validate on: --val-data"},
    {MEGATRON, "eval-interval", "val-every", NULL},
    {MEGATRON, "eval-iters", "val-batches", NULL},
    {MEGATRON, "load", NULL, "--resume goes on from the newest in --checkpoint-dir, --init-from takes weights alone"},
    {MEGATRON, "save", "checkpoint-dir", NULL},
    {MEGATRON, "save-interval", "checkpoint-every", NULL},
    {MEGATRON, "async-save", NULL, in_background},
    {MEGATRON, "no-load-optim", NULL, "--init-from takes the weights of a checkpoint alone"},
    {MEGATRON, "exit-duration-in-mins", NULL, "a time with its unit: --stop-after 90m"},
    {MEGATRON, "exit-signal-handler", NULL, "weir saves on signals by itself"},
    {MEGATRON, "recompute-activations", NULL, one_recompute},
    {MEGATRON, "recompute-granularity", NULL, one_recompute},
    {MEGATRON, "recompute-method", NULL, one_recompute},
    {MEGATRON, "recompute-num-layers", NULL, one_recompute},
    {MEGATRON, "use-distributed-optimizer", NULL, "use --zero 1"},
    {MEGATRON, "distributed-backend", "transport", NULL},
    {MEGATRON, "bf16", NULL, bf16},
    {MEGATRON, "fp16", NULL, no_fp16},
    {MEGATRON, "num-layers", NULL, model_size},
    {MEGATRON, "hidden-size", NULL, model_size},
    {MEGATRON, "num-attention-heads", NULL, model_size},
    {MEGATRON, "max-position-embeddings", NULL, model_size},
    {MEGATRON, "log-interval", NULL, every_step},
    {MEGATRON, "tensorboard-dir", NULL, every_step},
    {MEGATRON, "num-experts", NULL, no_expert},
    {MEGATRON, "ffn-hidden-size", NULL, model_size},
    {MEGATRON, "kv-channels", NULL, model_size},
    {MEGATRON, "num-query-groups", NULL, model_size},
    {MEGATRON, "group-query-attention", NULL, model_size},
    {MEGATRON, "normalization", NULL, model_size},
    {MEGATRON, "norm-epsilon", NULL, model_size},
    {MEGATRON, "swiglu", NULL, model_size},
    {MEGATRON, "position-embedding-type", NULL, model_size},
    {MEGATRON, "rotary-base", NULL, model_size},
    {MEGATRON, "untie-embeddings-and-output-weights", NULL, model_size},
    {MEGATRON, "make-vocab-size-divisible-by", NULL, model_size},
    {MEGATRON, "init-method-std", NULL, model_size},
    {MEGATRON, "num-layers-per-stage", NULL, balanced},
    {MEGATRON, "decoder-first-pipeline-num-layers", NULL, balanced},
    {MEGATRON, "decoder-last-pipeline-num-layers", NULL, balanced},
    {MEGATRON, "account-for-embedding-in-pipeline-split", NULL, balanced},
    {MEGATRON, "account-for-loss-in-pipeline-split", NULL, balanced},
    {MEGATRON, "defer-embedding-wgrad-compute", NULL, "a schedule says when weight gradients are computed: --schedule zb-h1"},
    {MEGATRON, "overlap-p2p-communication", NULL, overlaps},
    {MEGATRON, "overlap-grad-reduce", NULL, overlaps},
    {MEGATRON, "overlap-param-gather", NULL, overlaps},
    {MEGATRON, "use-flash-attn", NULL, one_kernel},
    {MEGATRON, "transformer-impl", NULL, one_kernel},
    {MEGATRON, "optimizer-cpu-offload", NULL, "weir keeps the optimizer state on the device: --zero 1 shards it"},
    {MEGATRON, "distributed-timeout-minutes", "timeout", NULL},
    {MEGATRON, "rampup-batch-size", NULL, "all steps of a run have one batch"},
    {MEGATRON, "lr-warmup-init", NULL, "warm-up begins near 0"},
    {MEGATRON, "start-weight-decay", "weight-decay", NULL},
    {MEGATRON, "skip-train", NULL, "use weir evaluate, or --steps 0"},
    {MEGATRON, "test-data-path", NULL, "use weir evaluate --data"},
    {MEGATRON, "exit-interval", "steps", NULL},
    {MEGATRON, "finetune", NULL, "--init-from takes weights alone"},
    {MEGATRON, "no-save-optim", NULL, "--export writes weights alone"},
    {MEGATRON, "ckpt-format", NULL, "checkpoints have one form, on every layout"},
    {MEGATRON, "mock-data", NULL, "weir makes no data up: --data"},
    {MEGATRON, "data-cache-path", NULL, "weir keeps no index beside the data"},
    {MEGATRON, "num-workers", NULL, "weir reads ahead by itself"},
    {MEGATRON, "timing-log-level", "profile", NULL},
    {MEGATRON, "log-throughput", NULL, every_step},
    {MEGATRON, "wandb-project", NULL, every_step},
    {MEGATRON, "empty-unused-memory-level", NULL, "memory is taken once, before the first step: --print-memory"},
    {TITAN, "pipeline-parallel-degree", "ranks", NULL},
    {TITAN, "pipeline-parallel-schedule", "schedule", NULL},
    {TITAN, "pipeline-parallel-schedule-csv", "schedule", NULL},
    {TITAN, "pipeline-parallel-microbatch-size", "microbatch-size", NULL},
    {TITAN, "pipeline-parallel-layers-per-stage", NULL, "weir balances layers by cost: --stages"},
    {TITAN, "tensor-parallel-degree", NULL, no_tensor},
    {TITAN, "context-parallel-degree", NULL, no_context},
    {TITAN, "expert-parallel-degree", NULL, no_expert},
    {TITAN, "data-parallel-replicate-degree", "replicas", NULL},
    {TITAN, "data-parallel-shard-degree", NULL, "weir shards the optimizer state over --replicas: --zero 1"},
    {TITAN, "local-batch-size", NULL, batch_size},
    {TITAN, "max-norm", "grad-clip", NULL},
    {TITAN, "warmup-steps", "warmup", NULL},
    {TITAN, "enable-checkpoint", NULL, "--checkpoint-dir says where"},
    {TITAN, "interval", "checkpoint-every", NULL},
    {TITAN, "keep-latest-k", "keep", NULL},
    {TITAN, "async-mode", NULL, in_background},
    {TITAN, "min-lr-factor", NULL, "give the rate itself: --min-lr"},
    {TITAN, "dataset", "data", NULL},
    {TITAN, "dataset-path", "data", NULL},
    {TITAN, "config-file", "config", NULL},
    {TITAN, "enable-profiling", "profile", NULL},
    {TITAN, "mixed-precision-param", "dtype", NULL},
    {TITAN, "folder", "checkpoint-dir", NULL},
    {TITAN, "tokenizer-path", "tokenizer", NULL},
    {TITAN, "hf-assets-path", "model", NULL},
    {TITAN, "flavor", "model", NULL},
    {TITAN, "log-freq", NULL, every_step},
    {TITAN, "init-timeout-seconds", "timeout", NULL},
    {TITAN, "decay-type", "lr-schedule", NULL},
    {TITAN, "compile", NULL, "weir compiles the step by itself"},
    {TITAN, "enable-memory-snapshot", "print-memory", NULL},
    {TITAN, "dump-folder", NULL, "outputs have names of their own: --checkpoint-dir, --metrics, --trace"},
    {DEEPSPEED, "pipe-parallel-size", "ranks", NULL},
    {DEEPSPEED, "model-parallel-size", NULL, no_tensor},
    {DEEPSPEED, "num-stages", "stages", NULL},
    {DEEPSPEED, "train-batch-size", NULL, batch_size},
    {DEEPSPEED, "train-micro-batch-size-per-gpu", "microbatch-size", NULL},
    {DEEPSPEED, "gradient-clipping", "grad-clip", NULL},
    {DEEPSPEED, "zero-stage", "zero", NULL},
    {DEEPSPEED, "zero-optimization", NULL, "use --zero 1"},
    {DEEPSPEED, "reduce-bucket-size", "bucket-bytes", NULL},
    {DEEPSPEED, "activation-checkpointing", NULL, one_recompute},
    {DEEPSPEED, "deepspeed-config", "config", NULL},
    {DEEPSPEED, "num-gpus", NULL, processes},
    {DEEPSPEED, "local-rank", NULL, processes},
    {DEEPSPEED, "partition-method", NULL, balanced},
    {DEEPSPEED, "steps-per-print", NULL, every_step},
    {DEEPSPEED, "wall-clock-breakdown", "profile", NULL},
    {DEEPSPEED, "deepspeed", NULL, "give its values as options of weir train"},
    {DEEPSPEED, "hostfile", NULL, processes},
    {DEEPSPEED, "include", NULL, processes},
    {DEEPSPEED, "offload-optimizer", NULL, "weir keeps the optimizer state on the device: --zero 1 shards it"},
    {HF, "model-name-or-path", "model", NULL},
    {HF, "train-file", "data", NULL},
    {HF, "dataset-name", "data", NULL},
    {HF, "validation-file", "val-data", NULL},
    {HF, "max-steps", "steps", NULL},
    {HF, "num-train-epochs", NULL, steps_count},
    {HF, "per-device-train-batch-size", "microbatch-size", NULL},
    {HF, "gradient-accumulation-steps", "microbatches", NULL},
    {HF, "block-size", "seq-len", NULL},
    {HF, "tokenizer-name", "tokenizer", NULL},
    {HF, "validation-split-percentage", NULL, "cut the data first, with weir tokenize"},
    {HF, "learning-rate", "lr", NULL},
    {HF, "lr-scheduler-type", "lr-schedule", NULL},
    {HF, "warmup-ratio", NULL, "count steps: --warmup"},
    {HF, "max-grad-norm", "grad-clip", NULL},
    {HF, "optim", "optimizer", NULL},
    {HF, "adam-epsilon", "adam-eps", NULL},
    {HF, "gradient-checkpointing", NULL, one_recompute},
    {HF, "eval-steps", "val-every", NULL},
    {HF, "eval-strategy", "val-every", NULL},
    {HF, "output-dir", "export", NULL},
    {HF, "overwrite-output-dir", "force", NULL},
    {HF, "logging-steps", NULL, every_step},
    {HF, "logging-dir", NULL, every_step},
    {HF, "report-to", NULL, every_step},
    {HF, "save-steps", "checkpoint-every", NULL},
    {HF, "save-strategy", NULL, "count steps or time: --checkpoint-every; after the last step one is written always"},
    {HF, "save-total-limit", "keep", NULL},
    {HF, "load-best-model-at-end", NULL, "--keep-best keeps the best checkpoint: --init-from takes it"},
    {HF, "ignore-data-skip", NULL, "--new-data begins at the first sample"},
    {HF, "resume-from-checkpoint", NULL, "--resume goes on from the newest in --checkpoint-dir"},
    {HF, "torch-dtype", "dtype", NULL},
    {HF, "max-shard-size", "export-shard-size", NULL},
    {HF, "fsdp", NULL, "weir shards the optimizer state over --replicas: --zero 1"},
    {HF, "dataloader-num-workers", NULL, "weir reads ahead by itself"},
    {HF, "per-device-eval-batch-size", NULL, "a validation has the --microbatch-size of training"},
    {HF, "lr-warmup-steps", "warmup", NULL},
    {HF, "do-train", NULL, "weir train trains, weir evaluate measures the loss"},
    {HF, "do-eval", NULL, "give --val-data, or use weir evaluate"},
    {HF, "evaluation-strategy", "val-every", NULL},
    {HF, "disable-tqdm", "quiet", NULL},
    {HF, "run-name", NULL, "outputs have names of their own: --checkpoint-dir, --metrics, --trace"},
    {HF, "push-to-hub", NULL, "upload the folder of --export"},
    {HF, "group-by-length", NULL, "all samples have --seq-len tokens"},
    {HF, "label-smoothing-factor", NULL, "weir has no label smoothing"},
    {HF, "torch-compile", NULL, "weir compiles the step by itself"},
    {HF, "ddp-timeout", "timeout", NULL},
    {HF, "tf32", NULL, "use --dtype tf32"},
    {HF, "use-cpu", NULL, "use --device cpu"},
    {HF, "no-cuda", NULL, "use --device cpu"},
    {HF, "data-seed", "seed", NULL},
    {OTHERS, "train-data", "data", NULL},
    {OTHERS, "eval-data", "val-data", NULL},
    {OTHERS, "valid-data", "val-data", NULL},
    {OTHERS, "validation-data", "val-data", NULL},
    {OTHERS, "epochs", NULL, steps_count},
    {OTHERS, "iterations", "steps", NULL},
    {OTHERS, "iters", "steps", NULL},
    {OTHERS, "batch-size", NULL, batch_size},
    {OTHERS, "mbs", "microbatch-size", NULL},
    {OTHERS, "gbs", NULL, batch_size},
    {OTHERS, "num-microbatches", "microbatches", NULL},
    {OTHERS, "n-microbatches", "microbatches", NULL},
    {OTHERS, "grad-accum", "microbatches", NULL},
    {OTHERS, "sequence-length", "seq-len", NULL},
    {OTHERS, "context-length", "seq-len", NULL},
    {OTHERS, "max-seq-length", "seq-len", NULL},
    {OTHERS, "pp-size", "ranks", NULL},
    {OTHERS, "pp-degree", "ranks", NULL},
    {OTHERS, "pp-schedule", "schedule", NULL},
    {OTHERS, "dp", "replicas", NULL},
    {OTHERS, "dp-size", "replicas", NULL},
    {OTHERS, "data-parallel-size", "replicas", NULL},
    {OTHERS, "tp", NULL, no_tensor},
    {OTHERS, "tp-size", NULL, no_tensor},
    {OTHERS, "tensor-parallel-size", NULL, no_tensor},
    {OTHERS, "cp", NULL, no_context},
    {OTHERS, "ep", NULL, no_expert},
    {OTHERS, "vpp", "chunks", NULL},
    {OTHERS, "vp", "chunks", NULL},
    {OTHERS, "gpus", NULL, processes},
    {OTHERS, "nproc-per-node", NULL, processes},
    {OTHERS, "world-size", NULL, processes},
    {OTHERS, "nnodes", NULL, processes},
    {OTHERS, "num-epochs", NULL, steps_count},
    {OTHERS, "max-seq-len", "seq-len", NULL},
    {OTHERS, "eval-batch-size", NULL, "a validation has the --microbatch-size of training"},
    {OTHERS, "val-interval", "val-every", NULL},
    {OTHERS, "master-addr", NULL, processes},
    {OTHERS, "master-port", NULL, processes},
    {OTHERS, "node-rank", NULL, processes},
    {OTHERS, "pipeline", "schedule", NULL},
    {OTHERS, "beta1", "adam-beta1", NULL},
    {OTHERS, "beta2", "adam-beta2", NULL},
    {OTHERS, "betas", NULL, "use --adam-beta1 and --adam-beta2"},
    {OTHERS, "eps", "adam-eps", NULL},
    {OTHERS, "wd", "weight-decay", NULL},
    {OTHERS, "momentum", NULL, "weir's sgd has no momentum: --optimizer adamw"},
    {OTHERS, "warmup-iters", "warmup", NULL},
    {OTHERS, "checkpoint", NULL, "--resume goes on from the newest in --checkpoint-dir, --init-from takes weights alone"},
    {OTHERS, "ckpt-dir", "checkpoint-dir", NULL},
    {OTHERS, "save-dir", "checkpoint-dir", NULL},
    {OTHERS, "save-every", "checkpoint-every", NULL},
    {OTHERS, "max-checkpoints", "keep", NULL},
    {OTHERS, "restore", NULL, "--resume goes on from the newest in --checkpoint-dir"},
    {OTHERS, "resume-from", NULL, "--resume goes on from the newest in --checkpoint-dir"},
    {OTHERS, "max-time", NULL, "a time with its unit: --stop-after 90m"},
    {OTHERS, "pretrained", "init-from", NULL},
    {OTHERS, "precision", "dtype", NULL},
    {OTHERS, "mixed-precision", "dtype", NULL},
    {OTHERS, "amp", NULL, bf16},
    {OTHERS, "half", NULL, no_fp16},
    {OTHERS, "log-file", "metrics", NULL},
    {OTHERS, "log-dir", "metrics", NULL},
    {OTHERS, "activation-checkpoint", NULL, one_recompute},
    {OTHERS, "backend", "transport", NULL},
    {0},
};

const struct synonym synonyms_generate[] = {
    {HF, "max-new-tokens", "tokens", NULL},
    {HF, "max-length", NULL, "count what is added to the prompt: --tokens"},
    {HF, "num-return-sequences", "samples", NULL},
    {HF, "do-sample", NULL, "--temperature above 0 draws"},
    {HF, "num-beams", NULL, "weir has no beam search"},
    {HF, "model-name-or-path", "init-from", NULL},
    {HF, "output-logits", "logits", NULL},
    {HF, "output-scores", "logits", NULL},
    {OTHERS, "temp", "temperature", NULL},
    {OTHERS, "top-p", NULL, "weir draws from all or from --top-k tokens"},
    {OTHERS, "n-predict", "tokens", NULL},
    {OTHERS, "num-samples", "samples", NULL},
    {OTHERS, "prompt-file", NULL, "the shell reads files: --prompt \"$(cat FILE)\""},
    {HF, "repetition-penalty", NULL, "weir draws from all or from --top-k tokens"},
    {HF, "eos-token-id", NULL, "the model's generation_config.json says it; --ignore-eos goes on"},
    {OTHERS, "checkpoint", "init-from", NULL},
    {OTHERS, "tp-size", NULL, no_tensor},
    {0},
};

const struct synonym synonyms_tokenize[] = {
    {MEGATRON, "input", NULL, "name the files themselves: weir tokenize FILE..."},
    {MEGATRON, "output-prefix", "output", NULL},
    {MEGATRON, "json-keys", "text-field", NULL},
    {MEGATRON, "tokenizer-model", "tokenizer", NULL},
    {MEGATRON, "tokenizer-name-or-path", "tokenizer", NULL},
    {MEGATRON, "tokenizer-type", NULL, "the kind is in its files: --tokenizer PATH"},
    {MEGATRON, "vocab-file", NULL, "name their folder: --tokenizer PATH"},
    {MEGATRON, "merge-file", NULL, "name their folder: --tokenizer PATH"},
    {MEGATRON, "append-eod", NULL, "the end of text stands between texts; --eod none leaves it out"},
    {MEGATRON, "workers", NULL, "one process reads all files, one after the other"},
    {HF, "tokenizer-name", "tokenizer", NULL},
    {HF, "model-name-or-path", "tokenizer", NULL},
    {HF, "train-file", NULL, "name the files themselves: weir tokenize FILE..."},
    {HF, "text-column-name", "text-field", NULL},
    {HF, "text-column", "text-field", NULL},
    {HF, "validation-split-percentage", NULL, "as a fraction: --val-fraction 0.05"},
    {OTHERS, "model", "tokenizer", NULL},
    {OTHERS, "out", "output", NULL},
    {OTHERS, "output-file", "output", NULL},
    {OTHERS, "text-key", "text-field", NULL},
    {OTHERS, "eos", "eod", NULL},
    {OTHERS, "val-split", "val-fraction", NULL},
    {OTHERS, "test-size", "val-fraction", NULL},
    {0},
};

const struct synonym synonyms_launch[] = {
    {"torchrun", "nproc-per-node", "n", NULL},
    {"torchrun", "max-restarts", "restarts", NULL},
    {"torchrun", "nnodes", NULL, several_hosts},
    {"torchrun", "node-rank", NULL, several_hosts},
    {"torchrun", "master-addr", NULL, several_hosts},
    {"torchrun", "master-port", NULL, several_hosts},
    {"torchrun", "rdzv-endpoint", NULL, several_hosts},
    {"torchrun", "standalone", NULL, "without --hosts all processes are on this host"},
    {DEEPSPEED, "num-gpus", "n", NULL},
    {OTHERS, "np", "n", NULL},
    {OTHERS, "ntasks", "n", NULL},
    {OTHERS, "num-processes", "n", NULL},
    {OTHERS, "host", "hosts", NULL},
    {OTHERS, "machinefile", "hostfile", NULL},
    {OTHERS, "oversubscribe", NULL, "weir launch starts as many as -n says, whatever cores there are"},
    {OTHERS, "allow-run-as-root", NULL, "weir launch needs no leave of root's"},
    {OTHERS, "bind-to", NULL, "ranks are bound to cores of their own where there are enough"},
    {0},
};

const struct name_synonym schedule_synonyms[] = {
    {"schedule1f1b", "1f1b"},
    {"schedulegpipe", "gpipe"},
    {"scheduleinterleaved1f1b", "interleaved"},
    {"interleaved1f1b", "interleaved"},
    {"interleaved-1f1b", "interleaved"},
    {"scheduleloopedbfs", "bfs"},
    {"loopedbfs", "bfs"},
    {"looped-bfs", "bfs"},
    {"scheduleinterleavedzerobubble", "interleaved-zb"},
    {"interleavedzerobubble", "interleaved-zb"},
    {"schedulezbvzerobubble", "zbv"},
    {"zbvzerobubble", "zbv"},
    {"zb-v", "zbv"},
    {"scheduledualpipev", "dualpipev"},
    {"dualpipe-v", "dualpipev"},
    {"pipedream-flush", "1f1b"},
    {"vhalf", "v-half"},
    {"vmin", "v-min"},
    {"zbh1", "zb-h1"},
    {"zbh2", "zb-h2"},
    {0},
};

const struct name_synonym dtype_synonyms[] = {
    {"bfloat16", "bf16"}, {"torch.bfloat16", "bf16"}, {"float32", "f32"}, {"torch.float32", "f32"},
    {"fp32", "f32"},      {"float", "f32"},           {"float16", "f16"},       {"torch.float16", "f16"}, {"fp16", "f16"},
    {"half", "f16"},      {"tensorfloat32", "tf32"}, {0},
};

const struct name_synonym optimizer_synonyms[] = {
    {"torch.optim.adamw", "adamw"}, {"adamw-torch", "adamw"}, {"adamw-torch-fused", "adamw"}, {"torch.optim.sgd", "sgd"}, {0},
};

const struct name_synonym rate_synonyms[] = {
    {"constantlr", "constant"},     {"constant-with-warmup", "constant"}, {"cosineannealinglr", "cosine"},
    {"cosine-with-min-lr", "cosine"}, {0},
};

/* ---- looking up ---------------------------------------------------------------------------------------------------- */

static char plain(char c)
{
    return c == '_' ? '-' : (char)tolower((unsigned char)c);
}

/* `word`, in capitals or not and with '_' for '-', is `name`. */
static bool reads_as(const char *word, size_t length, const char *name)
{
    for (size_t i = 0; i < length; i++)
        if (plain(word[i]) != name[i])
            return false;
    return !name[length];
}

static bool has_option(const struct option_table *table, const char *name)
{
    for (const struct option_row *row = table->rows; row->name; row++)
        if (!strcmp(row->name, name))
            return true;
    return false;
}

static const struct synonym *rows_of(const char *command)
{
    if (!strcmp(command, "generate"))
        return synonyms_generate;
    if (!strcmp(command, "launch"))
        return synonyms_launch;
    return strcmp(command, "tokenize") ? synonyms_train : synonyms_tokenize;
}

/* Commands other than train have those of its words that are options of their own. */
static bool is_answer(const struct option_table *table, const struct synonym *row)
{
    bool trains = !strcmp(table->command, "train") || !strcmp(table->command, "evaluate");
    return row->option ? has_option(table, row->option) : trains || rows_of(table->command) != synonyms_train;
}

/* A word without sections. */
static const struct synonym *word_find(const struct option_table *table, const char *word, size_t length)
{
    for (const struct synonym *row = rows_of(table->command); row->tool; row++)
        if (reads_as(word, length, row->word) && is_answer(table, row))
            return row;
    return NULL;
}

static const struct option_row *own_find(const struct option_table *table, const char *word, size_t length)
{
    for (const struct option_row *row = table->rows; row->name; row++)
        if (reads_as(word, length, row->name))
            return row;
    return NULL;
}

struct synonym synonym_find(const struct option_table *table, const char *word, size_t length)
{
    const char *end = word + length, *start = word, *dot = NULL, *before = word;
    for (const char *at; (at = memchr(start, '.', (size_t)(end - start))); start = at + 1) {
        before = dot ? dot + 1 : word;
        dot = at;
    }
    for (int i = 0; i < (dot ? 2 : 1); i++) { /* the last word, and then the section it is in */
        const char *from = i ? before : start, *to = i ? dot : end;
        const struct synonym *row = word_find(table, from, (size_t)(to - from));
        const struct option_row *own = own_find(table, from, (size_t)(to - from));
        if (row)
            return *row;
        if (own)
            return (struct synonym){OTHERS, own->name, own->name, NULL};
    }
    return (struct synonym){0};
}

const char *name_understood(const char *word, const char *const *names, const struct name_synonym *synonyms)
{
    size_t length = strlen(word);
    for (int i = 0; names[i]; i++)
        if (reads_as(word, length, names[i]))
            return names[i];
    for (; synonyms && synonyms->word; synonyms++)
        if (reads_as(word, length, synonyms->word))
            return synonyms->name;
    return word;
}

const char *schedule_understood(const char *word)
{
    const char *names[64] = {0};
    if (weir_pipeline_is_file(word))
        return word;
    for (int n = 0; weir_schedule_kind_at(n) && n < 63; n++)
        names[n] = weir_schedule_kind_at(n)->name;
    return name_understood(word, names, schedule_synonyms);
}
