/* mlp: a multi-layer perceptron for images.
 *
 *     images (B, I) ─▶ [linear ─▶ ReLU] × 7 of width 256 ─▶ linear ─▶ logits (B, K) ─▶ cross-entropy
 *
 * umlp: the same with skip connections in the shape of a U: each layer of the second half adds what its mirror image has made.
 *
 *     fc0 ─▶ fc1 ─▶ fc2 ─▶ fc3 ─▶ fc4 ─▶ fc5 ─▶ fc6 ─▶ head
 *      │      │      └────────────▶ +      ▲      ▲
 *      │      └────────────────────────────┘      │
 *      └──────────────────────────────────────────┘
 *
 * umlp-concat: what the mirror image has made comes beside what the layer makes, as in a U-Net (Ronneberger et al., "U-Net",
 * 2015), so that the next layer has 512 inputs.
 *
 * Eight layers, so that it can be cut into up to eight stages.  Weights start normal with standard deviation
 * sqrt(2 / inputs) (He et al., "Delving deep into rectifiers", 2015, eq. 10), biases at 0. */
#include <math.h>
#include <stdio.h>

#include "include/weir/graph.h"
#include "kernels/op_rows.h"
#include "models/model_kinds.h"

enum { HIDDEN_LAYERS = 7, WIDTH = 256 };

enum skips { SKIPS_NONE, SKIPS_ADDED, SKIPS_CONCATENATED };

static int linear(struct weir_graph_builder *b, const char *name, int x, int64_t in, int64_t out)
{
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    int params[] = {weir_graph_param(b, weight, WEIR_INIT_NORMAL, sqrt(2.0 / (double)in), true),
                    weir_graph_param(b, bias, WEIR_INIT_CONSTANT, 0, false)};
    struct weir_linear_attr attr = {.out_features = out, .bias = true};
    return weir_graph_node(b, name, &weir_op_linear, &attr, sizeof attr, 1, &x, 2, params);
}

static int dropout(struct weir_graph_builder *b, const char *name, int x, double p)
{
    struct weir_dropout_attr attr = {.dropout = p};
    return p > 0 ? weir_graph_node(b, name, &weir_op_dropout, &attr, sizeof attr, 1, &x, 0, NULL) : x;
}

static weir_status build(const struct weir_model_kind *kind, const struct weir_model_params *params,
                         struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_graph_builder b;
    weir_graph_begin(&b, kind->name, arena);
    int64_t batch = params->microbatch_size;
    int x = weir_graph_input(&b, "images", (struct weir_shape){2, {batch, params->n_inputs}, WEIR_DTYPE_F32});
    int targets = weir_graph_input(&b, "targets", (struct weir_shape){1, {batch}, WEIR_DTYPE_I32});
    int64_t in = params->n_inputs;
    char name[64], part[80];
    int made[HIDDEN_LAYERS];
    enum skips skips = *(const enum skips *)kind->config;
    for (int l = 0; l < HIDDEN_LAYERS; l++) {
        snprintf(name, sizeof name, "fc%d", l);
        weir_graph_layer(&b, name);
        x = linear(&b, name, x, in, WIDTH);
        in = WIDTH;
        snprintf(part, sizeof part, "%s.relu", name);
        x = weir_graph_node(&b, part, &weir_op_relu, NULL, 0, 1, &x, 0, NULL);
        snprintf(part, sizeof part, "%s.skip", name);
        if (skips && 2 * l > HIDDEN_LAYERS) {
            const struct weir_op *op = skips == SKIPS_ADDED ? &weir_op_add : &weir_op_concat;
            x = weir_graph_node(&b, part, op, NULL, 0, 2, (int[]){x, made[HIDDEN_LAYERS - 1 - l]}, 0, NULL);
            in = skips == SKIPS_ADDED ? WIDTH : 2 * WIDTH;
        }
        snprintf(part, sizeof part, "%s.dropout", name);
        x = made[l] = dropout(&b, part, x, params->dropout);
    }
    weir_graph_layer(&b, "head");
    x = linear(&b, "head", x, in, params->n_classes);
    weir_graph_node(&b, "loss", &weir_op_cross_entropy, NULL, 0, 2, (int[]){x, targets}, 0, NULL);
    return weir_graph_finish(&b, graph_out);
}

static const enum skips none = SKIPS_NONE, added = SKIPS_ADDED, concatenated = SKIPS_CONCATENATED;

const struct weir_model_kind weir_model_mlp = {
    .name = "mlp",
    .summary = "multi-layer perceptron for images: 7 hidden layers of 256, ReLU",
    .data = WEIR_DATA_IMAGES,
    .config = &none,
    .build = build,
};

const struct weir_model_kind weir_model_umlp = {
    .name = "umlp",
    .summary = "the same with skip connections between mirrored layers",
    .data = WEIR_DATA_IMAGES,
    .config = &added,
    .build = build,
};

const struct weir_model_kind weir_model_umlp_concat = {
    .name = "umlp-concat",
    .summary = "umlp whose skip connections are concatenated, as in a U-Net",
    .data = WEIR_DATA_IMAGES,
    .config = &concatenated,
    .build = build,
};
