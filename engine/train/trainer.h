/* The trainer: steps over a runner.  struct weir_engine of the public interface is this.
 *
 *     engine.c      open, close, preview
 *     step.c        feed, step, gradients, evaluate
 *     update.c      update by itself
 *     fetch.c       values that an evaluation kept
 *     step_end.c    the instructions after the last micro-batch, for the runner: reduce.c and optimizer.c have them
 *     save.c        checkpoints: saver.c writes them
 *     inspect.c     parameters, events, tables */
#ifndef WEIR_ENGINE_TRAIN_TRAINER_H
#define WEIR_ENGINE_TRAIN_TRAINER_H

#include "engine/run/runner.h"
#include "include/weir/weir.h"

struct weir_saver;

/* What every worker says at the end of a step. */
struct weir_step_note {
    int64_t first_ns, last_ns, busy_ns; /* of rank 0's clock */
    int64_t stop;
};

struct weir_engine {
    struct weir_runner runner;
    uint32_t process;               /* that opened it (base/process.h) */
    int64_t step;
    uint32_t n_runs;                /* that values were made for */
    bool has_gradients;             /* a step was run to its end */
    bool has_values;                /* an evaluation was run: what it keeps can be fetched */
    bool awaits_update;             /* gradients were made by themselves */
    const volatile int *stop_flag;  /* the program's; NULL: none */
    int stop;                       /* the largest of all processes, when the last step or evaluation ended */
    struct weir_step_note *notes;   /* [n_workers], in the order of the processes; when there are several */
    int64_t *compute_ns;            /* [n_workers], of the last step */
    bool *fed;                      /* [n_inputs][n_replicas * n_microbatches]: since the last run, of what ranks here read */
    struct weir_saver *saver;       /* NULL: no checkpoint was written yet */
    int folder_lock;                /* a descriptor that keeps other runs out of the folder of checkpoints; -1: none */
    double *losses;                 /* of an evaluation: [n_replicas * n_microbatches] */
};

/* WEIR_ERR_INVALID in a child after fork(): the blocks may be shared with the parent, which still runs. */
weir_status weir_engine_here(const weir_engine *engine);

/* Steps (step.c): the engine can run; a learning rate that is a number; what ranks get before a run; copies of the gates behind
 * it, and what they say, the same on all ranks. */
weir_status weir_engine_ready(const weir_engine *engine);
weir_status weir_rate_check(double learning_rate);
struct weir_step_block weir_step_values(weir_engine *engine, double learning_rate, bool training);
weir_status weir_gates_fetch(void *engine);
struct weir_update_gate weir_gate_of(const weir_engine *engine);

/* Wait for a checkpoint that is being written, and forget it; NULL is fine (saver.c). */
void weir_saver_close(struct weir_saver *saver);

/* The runner's weir_step_end_fn; `context` is the struct weir_runner. */
weir_status weir_step_end(void *context, struct weir_rank *rank, const struct weir_instr *instr);

/* Sums over the uses of tied parameters and over replicas (reduce.c). */
weir_status weir_tie_add(struct weir_rank *rank);
weir_status weir_tie_copy(struct weir_rank *rank);
weir_status weir_reduce(const struct weir_runner *runner, struct weir_rank *rank, int bucket);
weir_status weir_gather(const struct weir_runner *runner, struct weir_rank *rank, int bucket);
weir_status weir_param_gather(const struct weir_runner *runner, struct weir_rank *rank);

/* Global norm and update (optimizer.c). */
weir_status weir_norm(const struct weir_runner *runner, struct weir_rank *rank);
weir_status weir_update(const struct weir_runner *runner, struct weir_rank *rank);

#endif
