/* The layer graph: a model as operations, parameters and layers.
 *
 * Nodes are operations in execution order.  A value is named by an int: the index of the node that makes it, or
 * weir_input_value(i) for input i of the graph (tokens, targets, images).  A node may read any value that was made before it, and
 * the same one as several of its inputs: attention(x, x, x).  The value's gradient is the sum over all of its uses.
 *
 * A node whose operation has k outputs is followed by k - 1 *parts*, nodes that stand for outputs 1, 2 .. and do nothing: the
 * kernel of the node writes their values too.  So every value is the output of one node, and can cross a border by itself.
 *
 *     node 7  split     x ─▶ a        a is value 7
 *     node 8  split:1       b        part of node 7; b is value 8
 *     node 9  gelu      b ─▶ ..
 *
 * Layers are named runs of nodes, and a partition cuts only between them.  What a border costs is all that crosses there: values
 * made before it and read behind it, however far away.
 *
 *     layer 0  embed          tokens ─▶ x0
 *     layer 1  h.0.attn       x0 ─▶ ln ─▶ qkv ─▶ attention ─▶ proj ─▶ + ─▶ x1        one value (x1) crosses
 *     layer 2  h.0.mlp        x1 ─▶ ...                                  ▲ x0
 *     ...
 *     layer n  head           ─▶ logits ─▶ loss (targets)
 *
 *     layer 0  down.0         image ─▶ a
 *     layer 1  down.1         a ─▶ b                                     a and b cross: the skip goes past layer 2
 *     layer 2  middle         b ─▶ c                                     a and c cross
 *     layer 3  up.0           c, a ─▶ + ─▶ d
 *
 * Shapes are those of one micro-batch; the first dimension of every value is the sample.  Models are built in f32;
 * weir_graph_cast makes the same graph with values of another storage type (op.h).  Parameters are named as in the
 * model's published files.  A parameter that several nodes use is tied: its gradients are added in graph order.
 *
 * Build with a builder; it checks what it is given (names, numbers of values and parameters, sizes whose products do not
 * fit) and remembers the first error, so that a model file reads from top to bottom:
 *
 *     struct weir_graph_builder b;
 *     const struct weir_op *linear;
 *     weir_op_find("linear", &linear);
 *     weir_graph_begin(&b, "mlp", arena);
 *     int x = weir_graph_input(&b, "images", image_shape);
 *     weir_graph_layer(&b, "fc1");
 *     int w = weir_graph_param(&b, "fc1.weight", WEIR_INIT_NORMAL, 0.05, true);
 *     struct weir_linear_attr wide = {.out_features = 64};
 *     x = weir_graph_node(&b, "fc1", linear, &wide, sizeof wide, 1, &x, 1, &w);
 *     ...
 *     status = weir_graph_finish(&b, &graph);
 *
 * The graph and all it points to live in the arena and never change. */
#ifndef WEIR_GRAPH_H
#define WEIR_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "common.h"
#include "op.h"

enum weir_init {
    WEIR_INIT_NORMAL,   /* mean 0, standard deviation `scale` */
    WEIR_INIT_CONSTANT, /* every element is `scale` */
};

struct weir_param {
    const char *name; /* "h.0.attn.c_attn.weight" */
    struct weir_shape shape; /* f32, whatever the storage type of the copies that kernels read (weir_node.shapes) */
    enum weir_init init;
    double scale;
    bool decay;     /* weight decay applies */
    const char *sizes; /* "vocab_size, n_embd": its dimensions in the keys of the model's config.json; NULL: it has none */
    int first_node; /* first node that uses it */
    int n_uses;     /* nodes that use it; > 1: tied */
};

struct weir_node {
    const char *name;
    const struct weir_op *op;
    int inputs[WEIR_OP_INPUTS];        /* values */
    int params[WEIR_OP_PARAMS];        /* indices of graph parameters */
    struct weir_op_shapes shapes;      /* of one micro-batch; shapes.attr: the node's own copy */
    int layer;
    int part; /* above 0: this is output `part` of the node that stands so many before it, and no operation */
};

/* What weir_graph_node_get says of a node. */
struct weir_node_info {
    const char *name, *op; /* the operation's name */
    int layer;
    int n_inputs, n_params;
    const int *inputs, *params;      /* [n_inputs] values, [n_params] indices of graph parameters */
    const struct weir_shape *output; /* of one micro-batch */
    const void *attr;                /* its attributes (op.h), in the struct that the row takes; NULL: it takes none */
    int n_outputs;                   /* output is the first of them, the others are those of the nodes that follow */
    int part;                        /* above 0: this is output `part` of the node that stands so many before it; op is "part" */
    size_t attr_bytes;               /* of attr: as large as the library knows the struct */
};

struct weir_layer {
    const char *name;
    int first_node, n_nodes;
    int n_crossing;      /* values that cross the border in front of it: made before it, read in it or behind it */
    const int *crossing; /* [n_crossing], ascending; none for layer 0 */
};

struct weir_graph_input {
    const char *name;
    struct weir_shape shape;
};

struct weir_graph {
    const char *name;
    int64_t microbatch_size; /* samples of one micro-batch */
    enum weir_dtype storage; /* of values and of the parameters that kernels read: F32 or BF16 */
    int64_t n_targets;       /* losses added up in one micro-batch: the mean divides by their number; 0: no loss */
    int n_nodes, n_params, n_layers, n_inputs;
    const struct weir_node *nodes;
    const struct weir_param *params; /* in the order of first use */
    const struct weir_layer *layers;
    const struct weir_graph_input *inputs;
    /* The model in Hugging Face form; both NULL when it has none.  Set in the builder's graph, in its arena. */
    const char *hf_config; /* the text of config.json */
    const char *hf_prefix; /* what the files of some models put in front of the names: "transformer.", "model." */
    int64_t first_position, n_positions; /* of a slice: where it begins in its sequences, and how long these are; else 0 */
};

/* A graph in the making.  Its content lies in the arena. */
struct weir_graph_builder {
    struct weir_graph_making *making; /* the library's; NULL: there was no memory */
};

/* The value of an input of the graph; whether a value is one, and of which. */
static inline int weir_input_value(int input)
{
    return -1 - input;
}

static inline bool weir_value_is_input(int value)
{
    return value < 0;
}

static inline int weir_value_input(int value)
{
    return -1 - value;
}

/* The built-in models: one row per model, each a function that builds its layer graph.
 *
 *     struct weir_model_params params = {.microbatch_size = 4};
 *     const struct weir_model_kind *kind;
 *     weir_model_find("gpt2-tiny", &kind);
 *     weir_model_build(kind, &params, &arena, &graph);
 *
 * A model folder with a Hugging Face config.json gives a kind too: weir_model_open. */

enum weir_data_kind {
    WEIR_DATA_TOKENS, /* inputs "tokens" and "targets": i32 (B, T) */
    WEIR_DATA_IMAGES, /* inputs "images": f32 (B, n_inputs), "targets": i32 (B) */
};

struct weir_model_params {
    int64_t microbatch_size; /* B >= 1 */
    int64_t seq_len;         /* T; 0: the model's own.  Token models only */
    int64_t n_inputs;        /* features of one image; image models only */
    int64_t n_classes;       /* image models only */
    double dropout;          /* 0 <= p < 1 */
    int64_t context;         /* token models: 0, a graph to train; else one that generates, with a cache of so many
                                positions per sequence: input "tokens" (1, T), result the logits (1, 1, V) of its last row */
};

struct weir_model_kind {
    const char *name, *summary;
    enum weir_data_kind data;
    int64_t seq_len;    /* the model's own, and the longest; 0 for image models */
    int64_t vocabulary; /* 0 for image models */
    const void *config; /* read by build */
    /* Build the graph into `arena`.  WEIR_ERR_INVALID names the parameter. */
    weir_status (*build)(const struct weir_model_kind *kind, const struct weir_model_params *params,
                         struct weir_arena *arena, const struct weir_graph **graph_out);
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* Begin a graph in `arena`.  All names and texts that the builder is given are copied.  `b` is the caller's, and needs no release. */
void weir_graph_begin(struct weir_graph_builder *b, const char *name, struct weir_arena *arena);

/* The first failure so far, whose message is the thread's last error. */
weir_status weir_graph_status(const struct weir_graph_builder *b);

/* A new input; its first dimension is the micro-batch size.  Returns its value. */
int weir_graph_input(struct weir_graph_builder *b, const char *name, struct weir_shape shape);

/* Start a layer: the nodes that follow belong to it. */
void weir_graph_layer(struct weir_graph_builder *b, const char *name);

/* A parameter by name; the same name again is the same parameter (tied), whose init and decay stay the first ones.
 * Returns its index.  Its shape follows from the first node that uses it. */
int weir_graph_param(struct weir_graph_builder *b, const char *name, enum weir_init init, double scale, bool decay);

/* Say what the dimensions of a parameter are in the keys of the model's config.json, for messages; the first text stays. */
void weir_graph_param_sizes(struct weir_graph_builder *b, int param, const char *sizes);

/* A node; `op` lives as long as the graph is used.  `attr` is the struct of attributes that the row takes (op.h) and attr_bytes its
 * sizeof, or NULL and 0: all are zero.  The node has a copy, and only what it points to must live as long.  A struct of another
 * version is taken as common.h says, Growth.  Returns the value of its output, of several the first.  The functions of a row
 * return: no exception and no longjmp may leave them.  WEIR_ERR_INVALID names the node. */
int weir_graph_node(struct weir_graph_builder *b, const char *name, const struct weir_op *op, const void *attr, size_t attr_bytes,
                    int n_inputs, const int *inputs, int n_params, const int *params);

/* The value of output i of the node that weir_graph_node has returned; i 0 is that value itself.  Its name is the node's with ":i"
 * behind it. */
int weir_graph_output(struct weir_graph_builder *b, int node, int i);

/* Check the whole and hand it out: layers are not empty; its parameters, and the values of a micro-batch, have at most 2^56
 * elements; every layer reads a value of the layers before it, or lets one pass; an output of every node, and every parameter, is
 * used; the last node, and no other, is a loss, whose targets do not depend on parameters.  WEIR_ERR_INVALID names layer or node. */
weir_status weir_graph_finish(struct weir_graph_builder *b, const struct weir_graph **graph_out);

/* The same for a graph that is only run forwards: its last node is its result, and no node is a loss. */
weir_status weir_graph_finish_forward(struct weir_graph_builder *b, const struct weir_graph **graph_out);

/* The same graph with another number of samples in a micro-batch; parameters, nodes and layers keep their numbers. */
weir_status weir_graph_resize(const struct weir_graph *graph, int64_t microbatch_size, struct weir_arena *arena,
                              const struct weir_graph **graph_out);

/* The same graph with its floating-point inputs and values, and the parameters that its nodes read, stored as `storage`.
 * Traffic of nodes follows.  WEIR_ERR_INVALID: a row whose infer() does not take that type, which is named, or neither F32
 * nor BF16. */
weir_status weir_graph_cast(const struct weir_graph *graph, enum weir_dtype storage, struct weir_arena *arena,
                            const struct weir_graph **graph_out);

/* The same graph for positions first .. first + length - 1 of its sequences, the second dimension of its inputs.  Attention hands
 * keys, values and their gradients from slice to slice (op.h, cache and cache_gradient).  WEIR_ERR_UNSUPPORTED: an input without
 * positions, or an operation that does not know slices (WEIR_OP_SLICES); both are named. */
weir_status weir_graph_slice(const struct weir_graph *graph, int64_t first, int64_t length, struct weir_arena *arena,
                             const struct weir_graph **graph_out);

/* The graph's arrays, entry by entry, for programs with other headers than the library (common.h, Growth): entry `index` is filled
 * in as far as the program knows the struct.  What it points to is the graph's.  WEIR_ERR_INVALID: there are fewer. */
weir_status weir_graph_node_get_sized(const struct weir_graph *graph, int index, struct weir_node_info *out, size_t bytes);
weir_status weir_graph_param_get_sized(const struct weir_graph *graph, int index, struct weir_param *out, size_t bytes);
weir_status weir_graph_layer_get_sized(const struct weir_graph *graph, int index, struct weir_layer *out, size_t bytes);
weir_status weir_graph_input_get_sized(const struct weir_graph *graph, int index, struct weir_graph_input *out, size_t bytes);
static inline weir_status weir_graph_node_get(const struct weir_graph *graph, int index, struct weir_node_info *out)
{
    return weir_graph_node_get_sized(graph, index, out, sizeof *out);
}
static inline weir_status weir_graph_param_get(const struct weir_graph *graph, int index, struct weir_param *out)
{
    return weir_graph_param_get_sized(graph, index, out, sizeof *out);
}
static inline weir_status weir_graph_layer_get(const struct weir_graph *graph, int index, struct weir_layer *out)
{
    return weir_graph_layer_get_sized(graph, index, out, sizeof *out);
}
static inline weir_status weir_graph_input_get(const struct weir_graph *graph, int index, struct weir_graph_input *out)
{
    return weir_graph_input_get_sized(graph, index, out, sizeof *out);
}

/* Shape of a value; NULL when the graph has no such value. */
const struct weir_shape *weir_graph_shape(const struct weir_graph *graph, int value);

/* The node whose kernel makes the value of `node`: itself, or the one that it is a part of. */
int weir_node_maker(const struct weir_graph *graph, int node);

/* Estimated time of one pass of a node, and of one micro-batch in a layer, forward and backward, in arbitrary units that
 * are the same for all layers: per pass the larger of flops and of 8 flops per byte of traffic (a core computes about 8
 * flops in the time in which it moves one byte).  Used for the default partition. */
double weir_node_cost(const struct weir_graph *graph, int node, enum weir_pass pass);
double weir_layer_cost(const struct weir_graph *graph, int layer);

/* Bytes of all that crosses the border in front of a layer, for one micro-batch. */
size_t weir_layer_crossing_bytes(const struct weir_graph *graph, int layer);

/* Elements of all parameters, tied ones once. */
int64_t weir_graph_n_elements(const struct weir_graph *graph);

/* The built-in models by number, from 0 on; NULL beyond the last one. */
const struct weir_model_kind *weir_model_at(int index);

/* WEIR_ERR_USAGE with a suggestion when there is no such model. */
weir_status weir_model_find(const char *name, const struct weir_model_kind **kind_out);

/* The same, or the kind of a config.json: a name that holds a '/' or a '.', or that is no built-in model's but a folder
 * with a config.json, is the path of such a file or of its folder, whose kind is made in the arena.  WEIR_ERR_IO.
 * WEIR_ERR_INVALID, WEIR_ERR_UNSUPPORTED: what is wrong in the file, or not known here; the key is named. */
weir_status weir_model_open(const char *name, struct weir_arena *arena, const struct weir_model_kind **kind_out);

/* The kind of the text of a config.json; `name` stands for its file in messages and is the kind's name. */
weir_status weir_model_parse(const char *text, const char *name, struct weir_arena *arena, const struct weir_model_kind **kind_out);

/* Check `params` against the kind and build.  See weir_model_kind.build. */
weir_status weir_model_build_sized(const struct weir_model_kind *kind, const struct weir_model_params *params,
                                   size_t params_bytes, struct weir_arena *arena, const struct weir_graph **graph_out);
static inline weir_status weir_model_build(const struct weir_model_kind *kind, const struct weir_model_params *params,
                                           struct weir_arena *arena, const struct weir_graph **graph_out)
{
    return weir_model_build_sized(kind, params, sizeof *params, arena, graph_out);
}

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
