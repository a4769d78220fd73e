/* Plan files: how a model is to be trained, and what that was found for.
 *
 *     $ weir plan --model gpt2-tiny --devices 2 -o plan.json
 *     $ weir train --plan plan.json --data book.txt
 *
 *     {"format": "weir-plan", "version": 1,
 *      "model": "gpt2-tiny", "model_hash": "9c0e...", "layers": 14, "parameters": 1228032,
 *      "device": "cpu", "library": "0.1.0",
 *      "first_layers": [0, 7], "schedule": "1f1b", "chunks": 1, "replicas": 1, "zero": 0,
 *      "microbatches": 4, "microbatch_size": 4, "seq_len": 64,
 *      "dtype": "f32", "optimizer": "adamw", "recompute": "none",
 *      "predicted": {"rank_ms": [41.3, 40.8], ...}}
 *
 * A plan whose schedule is "auto" has the order that was made for it, a row per rank as in PyTorch's CSV:
 *
 *      "schedule": "auto", "order": ["0F0,0F1,0I0,...", "1F0,1I0,..."]
 *
 * The cut is by layers, so that it may lie inside a block.  Model, dtype and batch belong to the plan: whoever trains by it
 * compares the graph (weir_plan_file_check) and refuses what contradicts it.  Device and library only make its predictions
 * another machine's.  Of `predicted` only `rank_ms` is read, the work of each rank in a step, by which a run finds ranks that are
 * slow; the rest is for people and other programs. */
#ifndef WEIR_ENGINE_PROGRAM_PLAN_FILE_H
#define WEIR_ENGINE_PROGRAM_PLAN_FILE_H

#include "base/text.h"
#include "include/weir/plan.h"

struct weir_plan_file {
    const char *path;        /* for messages */
    const char *model;       /* name or path, as it was given */
    const char *model_hash;  /* 16 hexadecimal digits: weir_plan_file_hash */
    int64_t n_parameters;    /* elements, tied ones once */
    const char *device;      /* "cpu": the kind */
    const char *library;     /* its version */
    struct weir_layer_cut cut;
    const char *schedule;    /* a name */
    int64_t n_chunks, n_replicas, zero, n_microbatches, microbatch_size;
    int64_t seq_len;         /* 0: the model has none */
    const char *dtype, *optimizer, *recompute;
    const struct weir_schedule *order; /* of the schedule "auto"; else NULL */
    const double *rank_ms;   /* [n_stages / n_chunks], as predicted; NULL: not there */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Read a plan; all in `arena`.  WEIR_ERR_IO; WEIR_ERR_INVALID names key and reason: an unknown or missing key, a number out of
 * range, another format or version, layers that do not ascend from 0. */
weir_status weir_plan_file_load(const char *path, struct weir_arena *arena, struct weir_plan_file *plan_out);
weir_status weir_plan_file_parse(const char *text, size_t bytes, const char *name, struct weir_arena *arena,
                                 struct weir_plan_file *plan_out);

/* Append the plan; `predicted`, a JSON object as text, or NULL. */
weir_status weir_plan_file_write(const struct weir_plan_file *plan, const char *predicted, struct weir_text *text);

/* What makes a graph the same model whatever its batch: layers, operations, names and shapes of parameters. */
weir_status weir_plan_file_hash(const struct weir_graph *graph, struct weir_arena *arena, const char **hash_out);

/* WEIR_ERR_INVALID: the plan was made for another graph than this. */
weir_status weir_plan_file_check(const struct weir_plan_file *plan, const struct weir_graph *graph);

#ifdef __cplusplus
}
#endif

#endif
