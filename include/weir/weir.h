/* libweir: train models on pipelines of devices.
 *
 * The way from a model to a trained one:
 *
 *     struct weir_arena arena = {0};
 *     const struct weir_graph *graph;                       the layer graph: built in, or made with weir_graph_* calls
 *     struct weir_schedule schedule;                        the order of work of one step
 *     weir_engine *engine;
 *
 *     struct weir_model_params model = {.microbatch_size = 4};
 *     const struct weir_model_kind *kind;
 *     weir_model_find("gpt2-tiny", &kind);
 *     weir_model_build(kind, &model, &arena, &graph);
 *     weir_pipeline_schedule("1f1b", 2, 0, 8, &arena, &schedule);               2 stages, 8 micro-batches
 *
 *     struct weir_engine_config config;
 *     weir_engine_config_init(&config, sizeof config);
 *     config.graph = graph;
 *     config.schedule = &schedule;
 *     weir_engine_open(&config, &engine);
 *     for (int step = 0; step < 100; step++) {
 *         for (int mb = 0; mb < 8; mb++) {
 *             weir_engine_feed(engine, "tokens", mb, tokens[mb]);
 *             weir_engine_feed(engine, "targets", mb, targets[mb]);
 *         }
 *         struct weir_step_report report;
 *         weir_engine_step(engine, 1e-3, &report);                              report.loss
 *     }
 *     weir_engine_close(engine);
 *     weir_arena_release(&arena);
 *
 * Several processes.  With transport "mpi" every rank is a process that mpirun started (mpi.h: or those of a communicator), with "shm" one that `weir launch` did; each opens an engine
 * with the same configuration and calls the same functions in the same order.  All functions that may block are collective.
 * In a process that does not hold the stage, weir_engine_feed and weir_engine_param_write check their arguments and do
 * nothing; weir_engine_reads says which inputs this process needs.  Reports, losses, parameters read and gathered events are
 * the same on every process.  When one process fails, the next call of the others returns its status ("rank 1 failed: ..."),
 * or WEIR_ERR_PEER when it has died; then all can only close.  A process that is silent, or a call that does not return, for the
 * configuration's `timeout` gives WEIR_ERR_TIMEOUT; the engine whose call that was keeps, when it is closed, all that the call may touch.  With GPUs the transport is "nccl", to which the same applies;
 * after a failure the program should end with _exit(), for exit functions of CUDA may wait for what a lost process was to
 * send.
 *
 * fork().  An engine stays with the process that opened it: in a child its functions return WEIR_ERR_INVALID, and close does
 * nothing.  A child may open an engine of its own, with device "cpu" and transport "local".
 *
 * The process.  An engine prints nothing (common.h says where its log goes), sets no signal handler, and leaves working folder,
 * locale, limits and the calling thread's cores, priority and OpenMP settings alone.  What others in the process may notice:
 *
 *     always             threads of the engine's own until it is closed, and handlers of fork() from the first engine on
 *     device "cpu"       those threads are bound to cores while there are enough of them, unless it `leaves_cores`
 *     device "cuda"      CUDA_DEVICE_MAX_CONNECTIONS=32 in the environment, unless it has a value; it is set before CUDA starts
 *     transport "mpi",   MPI_Init_thread(MPI_THREAD_SERIALIZED), unless the program has started MPI, with the level that mpi.h names;
 *     "nccl"             who starts MPI ends it: Weir when the process exits (after weir_disconnect nobody does).  All processes of
 *                        MPI_COMM_WORLD, or of the communicator that the program gives (mpi.h), open the engine, which makes
 *                        communicators of its own of it; when one stays out the others get WEIR_ERR_TIMEOUT after ten times
 *                        `timeout` (weir_connect: after `timeout`)
 *     transport "shm"    shared memory, and the sockets that `weir launch` handed over
 *
 * Engines of one process share only what CUDA and MPI have one of, and the count of threads and cores.
 *
 * What lives how long.  Whatever a configuration points to is the program's and stays as it is until the engine is closed; so
 * does what the graph points to, its rows and what attributes point to included.  What the engine hands out by pointer is its
 * own, until the call that the function names, or close.
 *
 * Checkpoints (checkpoint.h).  All processes save and load together; what they save is one folder:
 *
 *     struct weir_save save = {.struct_bytes = sizeof save, .dir = "D", .sample = samples_read, .keep = 3};
 *     weir_engine_save(engine, &save);                         D/step-000120 is durable
 *
 *     weir_checkpoint *c;
 *     weir_engine_newest(engine, "D", NULL, NULL, &c);         in another run, on any layout; NULL: there is none
 *     weir_engine_load(engine, c);                             parameters, optimizer state, number of the step
 *     samples_read = weir_checkpoint_info(c)->sample;
 *     weir_checkpoint_close(c);
 *
 * A trained model writes text with generate.h.
 *
 * Every function returns a status (common.h); weir_last_error() has the message.  An engine is used by one thread at
 * a time. */
#ifndef WEIR_H
#define WEIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checkpoint.h"
#include "common.h"
#include "graph.h"
#include "op.h"
#include "report.h"
#include "schedule.h"

/* The configuration of a run: everything that decides what is compiled, and how it is trained.
 *
 *     struct weir_engine_config config;
 *     weir_engine_config_init(&config, sizeof config);
 *     config.graph = graph;
 *     config.schedule = &schedule;
 *     config.replicas = 2;
 *
 * weir_engine_preview compiles a configuration without a device; weir_engine_open opens an engine for it. */

/* How values are stored and products computed.  TF32 is for CUDA; docs/training.md says what bf16 rounds.
 * Parameters that are read, written, saved and updated, their gradients and the optimizer's state are f32 in all three. */
enum weir_compute {
    WEIR_COMPUTE_F32,
    WEIR_COMPUTE_TF32, /* f32 values; products round their factors to tf32 */
    WEIR_COMPUTE_BF16, /* bf16 values, and bf16 copies of the parameters; sums are f32 */
};

enum weir_optimizer { WEIR_OPTIMIZER_SGD, WEIR_OPTIMIZER_ADAMW };

/* How the learning rate changes from step to step.
 *
 *     constant   lr, after a linear warm-up from lr / W over the first W steps
 *     cosine     the same warm-up, then down to lr / 10 at the last step along half a cosine
 *                (Loshchilov, Hutter, "SGDR", 2017, eq. 5, with one period) */
enum weir_lr_schedule { WEIR_LR_CONSTANT, WEIR_LR_COSINE };

/* Rules for updates: some parameters learn slower, or not at all, or with another weight decay.
 *
 *     const struct weir_update_rule rules[] = {
 *         {sizeof rules[0], "wte.weight", 0, 0},           frozen
 *         {sizeof rules[0], "h.[0-3].*", 0.1, 1},          a tenth of the learning rate
 *         {sizeof rules[0], "*", 1, 0.5},                  half of the weight decay
 *     };
 *     config.update_rules = rules;
 *     config.n_update_rules = 3;
 *
 * The first rule whose pattern matches a parameter's name is its rule; one that no rule matches is updated as without rules.
 * A frozen parameter keeps its bits.  Its gradient is made all the same, and counts in the global norm. */
struct weir_update_rule {
    size_t struct_bytes;  /* sizeof(struct weir_update_rule): of every entry */
    const char *pattern;  /* a parameter's name, or a shell pattern as fnmatch(3) takes them */
    double learning_rate; /* factor of the step's learning rate, >= 0 */
    double weight_decay;  /* factor of the configuration's weight decay, >= 0; a parameter that has none stays without */
};

struct weir_engine_config {
    size_t struct_bytes;                  /* sizeof(struct weir_engine_config) of the program */
    const struct weir_graph *graph;       /* borrowed until close */
    const struct weir_schedule *schedule; /* borrowed until close; checked by open */
    const int *first_layer;               /* borrowed; [n_stages + 1], or NULL: stages, and ranks with several, balanced by estimated cost */
    const char *device;                   /* "cpu", "cuda", "cuda:0,cuda:1": a rank per entry, or a device per rank */
    enum weir_compute dtype;
    const char *transport;                /* NULL: "local", all ranks in this process; docs/cluster.md says what fits
                                             processes that a launcher starts */
    const char *placement;                /* of ranks on processes: NULL or "cluster", or "spread" (docs/cluster.md) */
    int threads_per_rank;                 /* >= 1 */
    enum weir_optimizer optimizer;
    double beta1, beta2, eps; /* adamw */
    double weight_decay;      /* decoupled, for parameters with decay */
    double grad_clip;         /* largest global gradient norm; 0: no clipping */
    uint64_t seed;            /* of initial values and dropout */
    bool evaluates;           /* weir_engine_evaluate will be called: compiled and given memory by open */
    int64_t device_memory;    /* bytes each rank may use; 0: what the device has */
    const char *recompute;    /* layers whose activations are made again in the backward: "none" or NULL, "full", or
                                 names and shell patterns such as "h.*.mlp,head" */
    int replicas;             /* copies of the pipeline that train on different micro-batches; 0: one */
    int zero;                 /* 1: ZeRO-1, optimizer state is sharded over the replicas; 0: each has all */
    int64_t bucket_bytes;     /* gradients reduced together; 0: derived from the stage's size */
    bool snapshots;           /* checkpoints are written in the background, out of a copy of the state, which has a row in the
                                 memory table; messages say checkpoint_sync for its absence */
    double timeout;           /* seconds after which a silent process or a call that does not return ends the run; 0: never */
    bool *told_out;           /* set when the run fails: true, a process was lost, and another process of its host, or of one that was
                                 heard first, has taken it on to say so; NULL: not asked.  Written by the thread that uses the engine */
    bool profiles;            /* weir_engine_op_times will be called: where the host only enqueues kernels, each call is
                                 timed by an event of the device before and after it; cpu times them anyway */
    bool updates_apart;       /* weir_engine_gradients and weir_engine_update will be called */
    const struct weir_update_rule *update_rules; /* [n_update_rules], all of one size, read by open */
    int n_update_rules;
    const char *const *fetches; /* [n_fetches], read by open: nodes whose outputs are kept for weir_engine_fetch; needs evaluates */
    int n_fetches;
    bool leaves_cores;        /* the program computes on these cores too: threads of ranks are neither bound to cores nor spin */
    int64_t communicator;     /* of MPI, whose processes run this: set by weir_engine_config_communicator; 0: MPI_COMM_WORLD */
    bool pack;                /* cpu: ranks keep weights of linear layers in the form of the matrix library too, where it has one: up to
                                 two more copies, made by the first micro-batch of a step and used by all.  Sums may round otherwise */
};

#define WEIR_ENGINE_CONFIG_DEFAULT                                                                                     \
    {                                                                                                                  \
        .struct_bytes = sizeof(struct weir_engine_config), .device = "cpu", .threads_per_rank = 1,                     \
        .optimizer = WEIR_OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .grad_clip = 1.0, .seed = 1,      \
        .timeout = 60                                                                                                  \
    }

typedef struct weir_engine weir_engine;

struct weir_step_report {
    int64_t step;                 /* from 0 */
    double loss;                  /* mean over all targets of the step */
    double grad_norm;             /* global, before clipping */
    int64_t step_ns;              /* first instruction to end of the optimizer */
    int64_t end_ns;               /* when it ended, on the clock of process 0: the same number on all of them */
    double bubble;                /* 1 - busiest rank's compute time / step time */
    int n_ranks;                  /* of all replicas: rank r of replica d is d * (ranks of a pipeline) + r */
    const int64_t *compute_ns;    /* [n_ranks]: time in kernels, waits excluded; valid until the next step */
    const size_t *peak_bytes;     /* [n_ranks]: bytes of the rank on its device: blocks, workspace, a transport's buffers;
                                     a GPU's context comes on top, once for all ranks on it */
    int stop;                     /* largest value of the stop flags of all processes when the step ended */
};

/* What a checkpoint is to hold besides the engine's state, and what becomes of older ones. */
struct weir_save {
    size_t struct_bytes;  /* sizeof(struct weir_save) of the program */
    const char *dir;      /* the folder of checkpoints: the same one for all processes */
    int64_t sample;       /* where the data go on */
    double seconds;       /* trained so far */
    double val_loss;      /* of a validation of these parameters; NaN: none */
    const char *config;   /* a JSON object of the program's; NULL: none */
    const void *extra;    /* bytes of the program's own, those of process 0 count; NULL: none */
    size_t extra_bytes;
    int keep;             /* whole checkpoints that stay, the new one included; 0: all */
    bool keep_best;       /* the one of the smallest val_loss stays too */
    bool weights_only;    /* parameters and nothing else: no optimizer state, no seed; a run begins with them */
    bool background;      /* the engine was opened with `snapshots`: write while training goes on */
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* Fill in the defaults: `bytes` is sizeof *config.  WEIR_ENGINE_CONFIG_DEFAULT has the same for objects that are initialised. */
void weir_engine_config_init(struct weir_engine_config *config, size_t bytes);

/* The processes of the run are those of an MPI communicator, given by its Fortran handle (MPI_Comm_c2f; -1 for MPI_COMM_NULL), for
 * transport "mpi" or "nccl".  mpi.h has weir_mpi_communicator_give, which takes a MPI_Comm and is the manual.  The communicator is the
 * program's, and is there until weir_engine_open has returned.
 * WEIR_ERR_UNSUPPORTED: a build without MPI, or MPI runs with less than MPI_THREAD_SERIALIZED.  WEIR_ERR_USAGE: MPI was not started, or
 * was finalised.  WEIR_ERR_INVALID: MPI_COMM_NULL, a freed or an inter-communicator, or no configuration. */
weir_status weir_engine_config_communicator(struct weir_engine_config *config, int handle);

/* "constant" or "cosine".  WEIR_ERR_USAGE, with a suggestion. */
weir_status weir_lr_schedule_find(const char *name, enum weir_lr_schedule *schedule_out);

/* The rate of step `step` (from 0) of `n_steps`, with `warmup` warm-up steps: what weir_engine_step is given.  After the last step it
 * stays. */
double weir_learning_rate(enum weir_lr_schedule schedule, double lr, int64_t warmup, int64_t step, int64_t n_steps);

/* The same, with a cosine that ends at `lowest` instead of lr / 10. */
double weir_learning_rate_to(enum weir_lr_schedule schedule, double lr, double lowest, int64_t warmup, int64_t step,
                             int64_t n_steps);

/* The transport for a process of a launcher: where that started several (mpirun, srun, torchrun, weir launch, ...), the one that moves
 * memory of the configuration's device between them; else "local".  Reads the environment.
 * WEIR_ERR_USAGE: a device that is not there, variables of the launcher that contradict each other, or a build without that transport:
 * the variable that says how many processes there are is named.  WEIR_ERR_INVALID: no configuration. */
weir_status weir_engine_config_launched(struct weir_engine_config *config);

/* Meet the other processes before there is an engine, when files are read in between, say:
 *
 *     weir_engine_config_launched(&config);
 *     status = weir_connect(&config);             device, transport, timeout and communicator count
 *     ...                                         read the data, build the graph; on failure: weir_disconnect() and exit
 *     status = weir_engine_open(&config, &engine);
 *
 * With transports "mpi" and "nccl" MPI is started here; else weir_engine_open does it, where it waits for ten times `timeout`, for it
 * cannot know how long others read.  Here all have just been started: one that is stopped, out of reach or gone is found within
 * `timeout`, which is 5 seconds at least.  Blocks until all have come.  With other transports there is nothing to do.
 * WEIR_ERR_TIMEOUT: one has not come; MPI is of no use any more.  WEIR_ERR_USAGE, WEIR_ERR_UNSUPPORTED: as weir_engine_open. */
weir_status weir_connect(const struct weir_engine_config *config);

/* This process has connected and opens no engine: it exits without waiting for the others, and its launcher sees its exit status.
 * Once an engine was opened, and where there is nothing to undo, nothing happens. */
void weir_disconnect(void);

/* What can be said of a configuration by itself; nothing is compiled and no device asked.  WEIR_ERR_USAGE: a number out of
 * range.  WEIR_ERR_INVALID: something is missing, or a field is set that this library does not know. */
weir_status weir_engine_config_check(const struct weir_engine_config *config);

/* Resident memory of a process that is not in the memory table, when `n_threads` of its threads compute (threads per rank,
 * times the ranks that live in it): threads, libc, the code and primitives of oneDNN where it is built in, and what that
 * packs factors into on processors without AVX-512.  An allowance from measurements, not a measurement of this
 * process. */
size_t weir_library_bytes(int n_threads);

/* Compile, allocate and initialise.  Blocks until all ranks are ready; the ranks' threads live until close.
 * WEIR_ERR_NOFIT: more stages than layers, or the memory needed exceeds the cap or the device (names rank, bytes and the
 * options that help).  WEIR_ERR_USAGE: unknown device or transport, or a number out of range.  WEIR_ERR_INVALID: schedule
 * or partition. */
weir_status weir_engine_open(const struct weir_engine_config *config, weir_engine **engine_out);
void weir_engine_close(weir_engine *engine); /* NULL is fine */

/* Copy the input `name` of micro-batch `mb` of the coming step: as many bytes as the input's shape has in the graph of the
 * configuration; with bf16, f32 numbers are rounded on their way.  A step has
 * replicas * n_microbatches micro-batches; replica d trains on [d * n_microbatches, (d + 1) * n_microbatches). */
weir_status weir_engine_feed(weir_engine *engine, const char *name, int mb, const void *data);

/* Run one step on what was fed since the last run; what a rank of this process reads must have been fed, all of it.
 * WEIR_ERR_USAGE: it was not, or the learning rate is negative or not finite; nothing ran.
 * WEIR_ERR_NUMERIC: loss or gradient norm is not finite; parameters are as before the step, the report is filled in.
 * After any other failure the engine can only be closed. */
weir_status weir_engine_step_sized(weir_engine *engine, double learning_rate, struct weir_step_report *report_out,
                                   size_t report_bytes);
static inline weir_status weir_engine_step(weir_engine *engine, double learning_rate, struct weir_step_report *report_out)
{
    return weir_engine_step_sized(engine, learning_rate, report_out, sizeof *report_out);
}

/* The mean loss over all targets of what was fed, without dropout: the forwards of a step, added up as a step adds them,
 * with the same bits for every partition and schedule.  Parameters, optimizer state, the number of the step, its report
 * and its events stay as they are; the next step wants to be fed anew.  The engine must have been
 * opened with `evaluates`: then its forwards run in the memory of the step, which grows only where the largest forward
 * needs more than all activations.
 *
 * WEIR_ERR_USAGE: opened without, or not fed.  WEIR_ERR_NUMERIC: the loss is not finite; it is stored all the same.  After any other
 * failure the engine can only be closed. */
weir_status weir_engine_evaluate(weir_engine *engine, double *loss_out);

/* ---- forwards alone, and the values of nodes; opened with `evaluates` -------------------------------------------------------
 *
 *     static const char *const fetches[] = {"ln_f", "lm_head"};
 *     config.evaluates = true;
 *     config.fetches = fetches;
 *     config.n_fetches = 2;
 *     ...
 *     weir_engine_feed(engine, "tokens", mb, tokens);            targets need not be fed
 *     weir_engine_forward(engine);
 *     weir_engine_fetch(engine, "lm_head", mb, values, n); */

/* Run the forwards of a step, without dropout, on what was fed; inputs that only losses read may be left out.  All else stays as
 * it is, as in an evaluation.  WEIR_ERR_USAGE: opened without, or not fed.  After any other failure the engine can only be closed,
 * or reset. */
weir_status weir_engine_forward(weir_engine *engine);

/* The output of node `name` for micro-batch `mb` of all replicas in the last evaluation or forward run, until the next one: `n`
 * float32 elements, all of it, whatever it is stored as.  Collective; every process gets it.  Values are overwritten while forwards run,
 * so those of the nodes in the configuration's `fetches` are kept and no others; they have lines in the memory table.
 * WEIR_ERR_USAGE: the node is not among them, or nothing was run.  WEIR_ERR_INVALID: another number of elements, no such
 * micro-batch.  Sequences in slices have none (open says so). */
weir_status weir_engine_fetch(weir_engine *engine, const char *name, int mb, float *values_out, size_t n);

/* Parameters by name, `n` float32 elements (all of it): their values now.  Writing sets every copy of a tied one. */
weir_status weir_engine_param_read(weir_engine *engine, const char *name, float *values_out, size_t n);
weir_status weir_engine_param_write(weir_engine *engine, const char *name, const float *values, size_t n);

/* The gradient of a parameter in the last step: of the mean loss over all targets of the step, before clipping, the uses of
 * a tied parameter and the replicas added up.  Valid after weir_engine_step, WEIR_ERR_NUMERIC included.  WEIR_ERR_USAGE: no step was run. */
weir_status weir_engine_gradient_read(weir_engine *engine, const char *name, float *values_out, size_t n);

/* ---- a step in two calls: gradients, then update; opened with `updates_apart` ------------------------------------------
 *
 *     weir_engine_feed(..)                                       as for a step
 *     weir_engine_gradients(engine, &report);                    loss and gradients; parameters stay as they are
 *     weir_engine_gradient_read(engine, "h.0.attn.c_attn.weight", values, n);
 *     weir_engine_gradient_write(engine, "h.0.attn.c_attn.weight", others, n);        or not
 *     weir_engine_update(engine, 1e-3, NULL);                    clip, update: the step is done
 *
 * Without a write both calls together have the bits of weir_engine_step.  An evaluation, a save and reads may come between.
 * weir_engine_load drops gradients. */

/* Run a step on what was fed, up to its gradients: those of the mean loss over all targets of the step, uses of tied parameters
 * and replicas added up.  The report and the events are those of this call.  A second call would replace them and not add to them,
 * for each is of a mean of its own: more micro-batches in the schedule make a larger step.
 * WEIR_ERR_USAGE: opened without, not fed, or gradients are there that await their update; nothing ran.  WEIR_ERR_NUMERIC as for a
 * step: there is nothing to update with.  After any other failure the engine can only be closed. */
weir_status weir_engine_gradients_sized(weir_engine *engine, struct weir_step_report *report_out, size_t report_bytes);
static inline weir_status weir_engine_gradients(weir_engine *engine, struct weir_step_report *report_out)
{
    return weir_engine_gradients_sized(engine, report_out, sizeof *report_out);
}

/* Replace the gradient of a parameter that awaits its update, as weir_engine_gradient_read gives it: `n` float32 elements, all of
 * it.  Not collective: all processes write the same; one that does not hold the parameter checks its arguments. */
weir_status weir_engine_gradient_write(weir_engine *engine, const char *name, const float *values, size_t n);

/* Clip the gradients, as they are now, and update the parameters: the step is done and the next one may be fed.
 * *grad_norm_out (NULL: not asked) is their global norm before clipping.  WEIR_ERR_USAGE: no gradients await it.
 * WEIR_ERR_NUMERIC: the norm is not finite; parameters and optimizer state stay, and gradients may be written again.  After any
 * other failure the engine can only be closed. */
weir_status weir_engine_update(weir_engine *engine, double learning_rate, double *grad_norm_out);

/* The gradients that await their update, if any, do so no longer: the same step may be fed again.  All processes call it. */
void weir_engine_gradients_drop(weir_engine *engine);

/* Read all parameters from a safetensors file, an index of shards, or a folder that has one (docs/model-files.md says how
 * they are found); or from a checkpoint, which is read whole and verified.  F32, F16 and BF16 tensors under the parameters' names, with or without the model's prefix
 * ("transformer.", "model."); mask and rotary buffers are passed over, lm_head.weight too where the head is tied.  A
 * missing, extra, doubled or misshapen tensor is WEIR_ERR_INVALID and named; nothing changes unless all is well. */
weir_status weir_engine_load_weights(weir_engine *engine, const char *path);

/* Write the parameters as a Hugging Face folder, as checkpoint.h says.  Several processes: process 0 writes what the
 * others send it.  WEIR_ERR_UNSUPPORTED: the model has no Hugging Face form.  WEIR_ERR_IO; what was there before then is as it
 * was, unless renaming files failed.  weir_export_check() finds out before. */
weir_status weir_engine_export_sized(weir_engine *engine, const struct weir_export *what, size_t what_bytes);
static inline weir_status weir_engine_export(weir_engine *engine, const struct weir_export *what)
{
    return weir_engine_export_sized(engine, what, sizeof *what);
}

/* ---- checkpoints; all of these are collective but where they say otherwise ------------------------------------------- */

/* Steps done since the parameters were new: the number of the next one, from which random numbers follow.  Not collective. */
int64_t weir_engine_position(const weir_engine *engine);
weir_status weir_engine_position_set(weir_engine *engine, int64_t step);

/* The optimizer's state of a parameter by its name in the graph: `kind` is an exp_avg, `n` float32 elements, all of it.
 * Writing is not collective; it writes what this process holds.  WEIR_ERR_INVALID: the optimizer has no such state. */
weir_status weir_engine_moment_read(weir_engine *engine, enum weir_checkpoint_kind kind, const char *name, float *values_out,
                                    size_t n);
weir_status weir_engine_moment_write(weir_engine *engine, enum weir_checkpoint_kind kind, const char *name, const float *values,
                                     size_t n);

/* Make `dir` where it is not there, and find out whether it can be written and is the same folder for all processes.  Until the
 * engine is closed, or this is called again, other engines are refused there, where the file system has locks.
 * WEIR_ERR_IO: it cannot be written, or another engine has had it for ten seconds.  WEIR_ERR_INVALID: a process, whose host is named, has another folder of that name. */
weir_status weir_engine_save_check(weir_engine *engine, const char *dir);

/* Write the checkpoint DIR/step-N, N being the steps done, and remove what need not stay (struct weir_save).  Returns when it is
 * durable; with `background`, when the state has been copied: then what `save` points to may go too, and the outcome is that of a
 * later poll or wait.  One that is still being written is waited for, and its outcome lost unless it was asked for before.
 * After a failure training can go on, and what was there before is as it was.  The engine may have failed with WEIR_ERR_NUMERIC:
 * its state is that before the step.  WEIR_ERR_INVALID: a whole checkpoint of that step is there.  WEIR_ERR_IO. */
weir_status weir_engine_save(weir_engine *engine, const struct weir_save *save);

/* How is the checkpoint that is written in the background?  To be called after every step, by all processes after the same ones.
 * *busy_out: it is not durable yet.  The status of one that came to its end is returned once. */
weir_status weir_engine_save_poll(weir_engine *engine, bool *busy_out);

/* Wait for it. */
weir_status weir_engine_save_wait(weir_engine *engine);

/* Open the newest whole checkpoint of `dir`, whose files are all read and compared with their hashes, by all processes together.
 * Damaged ones are passed over; process 0 tells `said` (may be NULL).  *checkpoint_out is NULL when there is none. */
weir_status weir_engine_newest(weir_engine *engine, const char *dir, weir_checkpoint_said_fn said, void *context,
                               weir_checkpoint **checkpoint_out);

/* Take over the state of a checkpoint that was verified, of whatever layout.  Then the next steps are, to the bit, those of the
 * run that wrote it when replicas, micro-batch size and number, threads, dtype, device and libraries are the same.  WEIR_ERR_INVALID: tensors are missing, extra or misshapen, or optimizer or seed are
 * others; the message names them, and nothing has changed.  WEIR_ERR_IO: a file cannot be read any more; some of the state is then
 * the checkpoint's, and some is not. */
weir_status weir_engine_load(weir_engine *engine, weir_checkpoint *checkpoint);

/* Is the input `name` of micro-batch `mb` read by a rank of this process?  When not, feeding it has no effect. */
bool weir_engine_reads(const weir_engine *engine, const char *name, int mb);

/* The number of this process, from 0, and how many there are. */
int weir_engine_process(const weir_engine *engine, int *n_processes_out);

/* The name of the host of rank `rank` of all replicas; "": it is another one, and was not heard yet, or no process 0 of its host. */
void weir_engine_host(const weir_engine *engine, int rank, char *host_out, size_t room);

/* A number that the program sets when it wants to stop, from a signal handler for example: each step's report has the
 * largest of all processes, so that all stop after the same step.  Borrowed until close.  NULL: none. */
void weir_engine_stop_flag(weir_engine *engine, const volatile int *flag);

/* Where records of what every rank did last go; `path` and `wanted` are borrowed until close.  One is written when a step, an evaluation or a
 * checkpoint fails, and one whenever *wanted, which a signal handler may count up, has changed in some process of the
 * host; that ends nothing.  The first process of each host writes.  `weir explain` reads them. */
void weir_engine_flight_to(weir_engine *engine, const char *path, const volatile int *wanted);

/* This process has written a record of a failure. */
bool weir_engine_flight_is_written(const weir_engine *engine);

/* Where it is: `path`, with ".h1" and so on before its suffix on other hosts than the first. */
void weir_engine_flight_path(const weir_engine *engine, char *path_out, size_t room);

/* The largest stop flag of all processes when the last step or evaluation ended, the same on each of them; 0: nobody wants
 * to stop. */
int weir_engine_stop_seen(const weir_engine *engine);

/* Go on after a kernel failed, one of the program's own rows for example: parameters, optimizer state, the number of the step and
 * gradients that await their update are as they were, and what was fed must be fed again.  All ranks must live in this process.
 * Until then the engine's functions return WEIR_ERR_INVALID with what failed first ("...; earlier: rank 1, 0F3: ..").  An engine
 * that has not failed stays as it is.  WEIR_ERR_UNSUPPORTED: there are other processes, which have failed too.
 * WEIR_ERR_INVALID: what failed was no kernel of the graph, or a call has not returned: close it. */
weir_status weir_engine_reset(weir_engine *engine);

/* This process cannot go on, for a reason outside the engine: tell the others, with the thread's last error.  Without
 * others it does nothing; NULL is fine. */
void weir_engine_fail(weir_engine *engine, weir_status status);

/* With several processes: fetch what the ranks of the others did, for weir_engine_events and weir_engine_op_times. */
weir_status weir_engine_events_gather(weir_engine *engine);

/* What the ranks did in the last step: fills at most `room` events, returns how many there are. */
size_t weir_engine_events_sized(const weir_engine *engine, struct weir_step_event *events_out, size_t event_bytes, size_t room);
static inline size_t weir_engine_events(const weir_engine *engine, struct weir_step_event *events_out, size_t room)
{
    return weir_engine_events_sized(engine, events_out, sizeof *events_out, room);
}

/* Why the ranks stood still in the last step, by rank and time: fills at most `room` entries, returns how many there are, at
 * most one per event and one per rank.  With several processes gather the events first. */
size_t weir_engine_waits_sized(const weir_engine *engine, struct weir_step_wait *waits_out, size_t wait_bytes, size_t room);
static inline size_t weir_engine_waits(const weir_engine *engine, struct weir_step_wait *waits_out, size_t room)
{
    return weir_engine_waits_sized(engine, waits_out, sizeof *waits_out, room);
}

/* Where the time went, one row per operation and pass that was called: fills at most `room` rows, returns how many there
 * are (at most 3 per node of the graph).  On `cuda` there are none unless the engine was opened with `profiles`. */
size_t weir_engine_op_times_sized(const weir_engine *engine, struct weir_op_time *times_out, size_t time_bytes, size_t room);
static inline size_t weir_engine_op_times(const weir_engine *engine, struct weir_op_time *times_out, size_t room)
{
    return weir_engine_op_times_sized(engine, times_out, sizeof *times_out, room);
}

/* The stage's first layer, for 0 .. n_stages (the last is the number of layers). */
int weir_engine_first_layer(const weir_engine *engine, int stage);

/* Memory table and step program as text for people, given to `say` with `context`.  WEIR_ERR_NOMEM. */
weir_status weir_engine_print_memory(const weir_engine *engine, weir_text_fn say, void *context);
weir_status weir_engine_print_program(const weir_engine *engine, weir_text_fn say, void *context);

/* Compile only, and tell what a run would need, without allocating it: the memory table goes to `memory`, then the step program
 * to `program`; NULL: not wanted.  Fails as weir_engine_open does before it asks a device. */
weir_status weir_engine_preview(const struct weir_engine_config *config, weir_text_fn memory, weir_text_fn program,
                                void *context);

/* What the ranks of such a run would take; no device is asked, and it need not be in this build.  *report_out lives in `arena`.
 * With a cap that is exceeded the report is filled in, and the result is WEIR_ERR_NOFIT with the options that would help. */
weir_status weir_engine_memory(const struct weir_engine_config *config, struct weir_arena *arena,
                               struct weir_memory_report *report_out);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
