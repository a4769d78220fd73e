/* weir train: its options, and what one run holds. */
#ifndef WEIR_CMD_TRAIN_H
#define WEIR_CMD_TRAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/json.h"
#include "cmd/codec.h"
#include "cmd/options.h"
#include "cmd/progress.h"
#include "include/weir/data.h"
#include "include/weir/metrics.h"
#include "include/weir/trace.h"
#include "include/weir/plan.h"
#include "include/weir/weir.h"

/* A plan out of a file. */
struct train_plan {
    weir_plans *plans;
    struct weir_plan_info info;
};

struct train_options {
    const char *model, *data, *val_data, *data_format, *tokenizer, *schedule, *dialect, *lr_schedule, *optimizer, *device, *dtype, *transport;
    const char *placement, *recompute;
    const char *first_layers, *layout, *plan, *costs, *save_costs;
    const struct train_plan *made; /* what --plan names; NULL: not given */
    const char *metrics, *trace, *config, *init_from, *export, *export_dtype, *checkpoint_dir, *checkpoint_every;
    int64_t export_shard_size; /* bytes; 0: the library's */
    int64_t keep;             /* 0: all */
    double stop_after, grace; /* seconds; 0: not given */
    double timeout;           /* seconds; 0: never */
    int64_t stages, ranks, chunks, replicas, zero, bucket_bytes, microbatches, microbatch_size, seq_len;
    int64_t slices; /* 0: as the schedule has it */
    int64_t steps, warmup, seed, threads, device_memory, memory_cap;
    int64_t val_every, val_batches; /* 0: chosen */
    double lr, min_lr, weight_decay, grad_clip, dropout, beta1, beta2, eps;
    double peak_flops; /* per second, of all ranks together; 0: not given */
    const char *print_memory; /* "", "full"; NULL: not given */
    bool print_program, json, quiet, profile, force;
    const char *on_nan;
    bool resume, new_data, keep_best, checkpoint_sync, pack;
    bool evaluates; /* weir evaluate: no steps, and val_data is its --data */
    struct options given;
};

/* What --data or --val-data names. */
struct train_source {
    weir_data *data;          /* NULL: not given */
    const char *text;         /* what the option says */
    const char *const *paths; /* [n_paths]: its files; none for images */
    int n_paths;
};

/* When checkpoints are written, and what has been. */
struct train_checkpoints {
    int64_t every_steps, every_ns; /* one of them; 0: not by this */
    int64_t saved_ns;              /* the end of the step that was saved last, on the clock of all; 0: none yet */
    int64_t saved_step;            /* steps done then; -1: none */
    bool busy;                     /* one is being written */
    uint64_t data_hash;            /* of the training data */
    double best_loss;              /* the smallest of validations after which one was written; NaN: none */
    const char *config;            /* JSON: options, and what must be the same in a run that goes on */
};

enum train_on_nan { TRAIN_NAN_STOP, TRAIN_NAN_SKIP, TRAIN_NAN_ROLLBACK };

/* A failure that is reported when what the run has learnt is safe. */
struct train_failure {
    weir_status status;
    char message[WEIR_ERROR_MAX];
};

struct train_run {
    const struct train_options *options;
    const struct weir_model_kind *model;
    enum weir_lr_schedule lr_schedule;
    enum weir_optimizer optimizer;
    enum weir_compute dtype;
    struct weir_arena arena;
    struct weir_schedule schedule;
    struct weir_layer_cut cut; /* n_stages 0: chosen when the program is built */
    const char *schedule_name; /* or its file */
    const struct weir_graph *graph;
    struct train_source train, validation;
    struct codec_encoder encoder; /* of texts in both */
    int64_t val_every, val_batches; /* steps between validations, batches of each */
    weir_engine *engine;   /* NULL: memory table or step program were asked for, and printed */
    weir_metrics *metrics; /* NULL: not asked for */
    weir_trace *trace;     /* NULL: not asked for */
    struct train_profile *profile; /* NULL: not asked for */
    struct measured_costs *costs;  /* of --save-costs; NULL: not asked for */
    struct weir_step_event *events; /* of one step, for trace and profile */
    size_t n_events;
    struct weir_step_wait *waits; /* [waits_room]: of the last step that was looked at */
    size_t n_waits, waits_room;
    int64_t n_trace_steps; /* the first ones are kept, as many whole steps as there is room for */
    int64_t *peaks;        /* [n_ranks] */
    char *inputs, *targets; /* one micro-batch */
    size_t input_bytes, target_bytes;
    int n_microbatches, n_ranks; /* of all replicas */
    bool connected; /* the engine was opened: processes hear of each other's failures */
    bool is_told;   /* a process was lost, and another one than this says so */
    bool leads; /* of several processes, the one that prints and writes files */
    double first_loss, last_loss;
    double val_loss; /* of the last validation; NaN: none yet */
    int64_t val_step;      /* steps done when val_loss was measured */
    bool resumed;          /* this run goes on from another */
    int64_t first_step;    /* steps done by the run that this one goes on from */
    int64_t n_done;        /* of both */
    int64_t sample;        /* the number of the next sample */
    int64_t samples_before; /* of data that --new-data replaced */
    double seconds_before; /* that the other run trained */
    struct train_checkpoints checkpoints;
    int64_t command_ns;    /* when the command began */
    int64_t begin_ns;      /* of the first step */
    int64_t data_wait_ns;  /* that the step waited for its samples */
    bool export_made;      /* the folder of --export was not there before */
    int on_nan;            /* enum train_on_nan */
    struct weir_stragglers *stragglers; /* of the first process */
    int n_skipped;         /* how often numbers were not finite before skipped_step, in steps done, was reached */
    int64_t skipped_step;
    bool stopped;          /* before the last step */
    bool engine_failed;   /* it can only be closed */
    bool validation_cut;  /* a signal ended the last validation early */
    struct train_failure output, export, checkpoint; /* of metrics or trace, of --export, of the last checkpoint */
};

/* The launcher calls this process the first one, or there is no launcher. */
bool train_leads(const struct train_options *options);

/* Open everything that can fail before the first step; on failure all is closed again.  With --print-memory or
 * --print-program, print what was asked for instead of opening an engine. */
weir_status train_open(const struct train_options *options, struct train_run *run);
void train_close(struct train_run *run);

/* "ascending", or "other" for a file whose stages run W (or B) in another order of micro-batches; and a line about that on
 * standard error. */
const char *train_wgrad_order(const struct train_run *run);
void train_order_print(const struct train_run *run);

/* A run that computes nothing (--device null): refuses what needs numbers; says what it is, before its first step. */
bool train_is_dry(const struct train_options *o);
weir_status train_dry_check(const struct train_options *o);
void train_dry_begin(const struct train_run *run);

/* Open, step, export, `show` the result where there is one, report what failed; the exit status. */
int train_do(const struct train_options *options, void (*show)(struct train_run *run));

/* The exit status of `status`, with its message: one, of the process that `leads`, where it fails too.  Before the processes
 * are `connected` that is not known: the others wait before they speak, and the launcher ends them meanwhile. */
int train_failed(const struct train_options *options, weir_status status, bool leads, bool connected);

/* Values of options that are not given. */
#define TRAIN_OPTIONS_DEFAULT                                                                                          \
    {.data_format = "auto", .schedule = "1f1b", .dialect = "torch", .lr_schedule = "constant", .optimizer = "adamw",   \
     .device = "cpu", .dtype = "f32", .export_dtype = "source", .replicas = 1, .microbatch_size = 4, .steps = 200,     \
     .warmup = -1, .seed = 1, .threads = 1, .grace = 120, .on_nan = "stop", .timeout = 60, .lr = -1, .min_lr = -1,     \
     .weight_decay = -1, .grad_clip = 1}

/* "s" unless n is 1. */
const char *plural(int64_t n);

/* "train" or "evaluate", for messages. */
const char *train_command(const struct train_options *options);

/* How texts become tokens, for both sources. */
void train_encoder_init(struct train_run *run);

/* Open the source that `text` names, for the run's model. */
weir_status train_source_open(struct train_run *run, const char *text, uint64_t seed, struct train_source *source);

/* What was taken for what: "data: book.txt as text, 273,512 tokens of tokenizer gpt2" in lines, or as members of the result's
 * JSON object. */
void train_data_print(const struct train_run *run, FILE *out);
void train_data_json(const struct train_run *run, json_t *result);

/* What ranks wait for (train_waits.c): added up step by step, in ns. */
enum { TRAIN_WAIT_CLASSES = 7 };
struct train_waits;
weir_status train_waits_open(struct train_run *run, struct train_waits **waits_out);
void train_waits_add(const struct train_run *run, struct train_waits *waits); /* of the step in run->events and run->waits */
const char *train_waits_class(int class);
int64_t train_waits_ns(const struct train_waits *waits, int class);
void train_waits_print(const struct train_waits *waits, int64_t n_steps, FILE *out);

/* Feed the samples of one step of `data`, from number `first` on: replica after replica, as weir_data_first() deals them. */
weir_status train_feed(struct train_run *run, const weir_data *data, int64_t first);

/* Seconds trained, validations included, with those of the run that this one goes on from. */
double train_seconds(const struct train_run *run);

/* The highest learning rate: --lr, or what the optimizer begins with; and the steps that it takes to get there. */
double train_lr(const struct train_run *run);
int64_t train_warmup(const struct train_run *run);

/* The schedule that options name, on as many stages as they say; settles micro-batches and ranks of all replicas. */
weir_status train_schedule_build(const struct train_options *options, struct train_run *run);

/* --save-costs (train_costs.c): begin to add up, and write the file at the end. */
weir_status train_costs_open(struct train_run *run);
weir_status train_costs_write(struct train_run *run);

/* --plan (train_plan.c): read it into `made`, whose plans are to be closed after the options, refuse options that contradict it, and
 * take from it what is not given; and, when the graph is there, hold the plan against it, and say what it was not made for. */
weir_status train_plan_fill(struct train_options *options, struct train_plan *made);
weir_status train_plan_check(const struct train_run *run);
void train_plan_warn(const struct train_run *run);

/* Elements of all parameters, tied ones once. */
double train_parameters(const struct train_run *run);

/* The first line of the metrics: what the run is.  WEIR_ERR_USAGE: the file has the metrics of another run. */
weir_status train_header_write(struct train_run *run);

/* "gpt2-tiny, 0.43 million parameters: 4 stages on 2 ranks x 2 chunks (zbv); a step is 16 samples, 1024 tokens" */
void train_layout_print(const struct train_run *run, FILE *out);

/* Say on standard error what the layout cannot give. */
void train_layout_warn(const struct train_run *run);

/* Targets of one step: tokens, or images. */
int64_t train_targets(const struct train_run *run);

/* Samples of one step, of all replicas. */
int64_t train_samples(const struct train_run *run);

/* The validation without steps. */
weir_status train_validate_alone(struct train_run *run);

/* Open --val-data. */
weir_status train_validation_open(const struct train_options *options, struct train_run *run);

/* Once the schedule is known, settle when and how much is validated. */
weir_status train_validation_settle(const struct train_options *options, struct train_run *run);

/* WEIR_ERR_USAGE: fewer samples than a step needs. */
weir_status train_data_check(const struct train_run *run);

/* true when a validation follows `step`. */
bool train_validation_due(const struct train_run *run, int64_t step);

/* The mean loss of the validation set; what was fed is overwritten.  *whole_out: false when a signal cut it short, and there
 * is no loss. */
weir_status train_validate(struct train_run *run, double *loss_out, bool *whole_out);

/* --profile: add up where the time of the steps goes.  Opened when the engine is; events are those of the last step. */
weir_status train_profile_open(struct train_run *run);
void train_profile_step(struct train_run *run, const struct weir_step_report *report);

/* Around what uses the engine between steps: its operations are not the steps'. */
void train_profile_pause(struct train_run *run);
void train_profile_resume(struct train_run *run);

/* The table, and the same as a JSON array; NULL: out of memory. */
void train_profile_print(struct train_run *run, FILE *out);
struct json_t *train_profile_json(struct train_run *run);

/* Run the steps.  *signal_out: the signal that ended the run early, or 0.  Failures of metrics and trace are kept in
 * run->output. */
weir_status train_steps(struct train_run *run, int *signal_out);

/* The engine's defaults with the run's optimizer, its numbers and the seed. */
struct weir_engine_config train_optimizer_config(const struct train_run *run);

/* Checkpoints (train_checkpoint.c).  What options are wrong without opening anything; what --resume takes from the newest checkpoint
 * for options that are not given. */
weir_status train_checkpoint_check(const struct train_options *o, struct train_run *run);
weir_status train_checkpoint_fill(struct train_options *o);

/* With the engine open: find out whether checkpoints can be written, and go on from the newest one. */
weir_status train_checkpoint_open(struct train_run *run);

/* After a step that ended so, and its report: write one where it is due. */
weir_status train_checkpoint_step(struct train_run *run, const struct weir_step_report *report, const double *val_loss, bool last);

/* Back to the newest checkpoint, the data position apart.  WEIR_ERR_NUMERIC with the message of the step that was not finite: there
 * is none. */
weir_status train_checkpoint_rollback(struct train_run *run);

/* The state at the end of the steps, which ended with `status`, where the engine has it; returns when it is durable.  A failure is
 * kept in run->checkpoint; the message of `status` stays. */
void train_checkpoint_end(struct train_run *run, weir_status status);

/* The engine still has what the steps so far have made of the parameters, in all processes. */
bool train_has_state(const struct train_run *run, weir_status status);

/* The process ends when what follows a signal takes longer than --grace; until this is called. */
void train_grace_end(void);

/* From now on SIGINT, SIGTERM and SIGHUP end the run after a step. */
void train_stop_watch(struct train_run *run);

/* Ranks that become slow are reported, by the first process (train_straggler.c). */
weir_status train_stragglers_open(struct train_run *run);
void train_stragglers_look(struct train_run *run, const struct weir_step_report *report);

/* From now on records of what every rank did last are written into --checkpoint-dir or the current folder: on SIGQUIT, and when
 * the run fails.  Say so when this process has written one of a failure. */
weir_status train_flight_open(struct train_run *run);
void train_flight_print(const struct train_run *run);

/* From a signal handler: a launcher is about to end this process, so have one written half a second from now. */
void train_flight_soon(void);

/* The signal, or another reason to stop, that this process has seen; 0: none, or other processes take part, and agree in a
 * step's report. */
int train_stop_seen(const struct train_run *run);
int train_stop_signal(int stop); /* the signal of a reason to stop; 0: it was none */
bool train_stop_is_time(int stop); /* --stop-after */
bool train_stop_is_terminated(void); /* SIGTERM came: a launcher ends the run */

/* An output could not be written: keep the message, stop after the step. */
void train_output_failed(struct train_run *run, weir_status status);

/* What --export, --export-dtype and --export-shard-size say; like the folders of --model and --init-from. */
weir_status train_export_read(const struct train_run *run, struct weir_export *export_out);

/* Export what the steps have learnt, also when they ended with `status`, as far as the engine has it.  A failure is kept in
 * run->export; the message of `status` stays. */
weir_status train_export(struct train_run *run, weir_status status);

/* Keep the first of several failures, with the thread's last error; print it and return its exit status. */
void train_failure_keep(struct train_failure *failure, weir_status status);
int train_failure_report(const struct train_run *run, const struct train_failure *failure);

#endif
