/* Rows of operations of the tests' own, with needs of every kind, and nodes of them and of Weir's, for small graphs. */
#ifndef WEIR_TESTS_ODD_ROWS_H
#define WEIR_TESTS_ODD_ROWS_H

#include "include/weir/graph.h"

extern const struct weir_op odd_op_whole, /* y = x · gain: cannot be split */
    odd_op_affine,                        /* y = x · gain + shift */
    odd_op_tanh, odd_op_bend,             /* y = tanh(x), tanh(x · gain): need their output */
    odd_op_fork,                          /* y = tanh(x) and x · gain: two outputs, of which either may be left unread */
    odd_op_square,                        /* y = x² / 2: needs what it saved */
    odd_op_product;                       /* y = a · b: needs both inputs, has two gradients */

int odd_one(struct weir_graph_builder *b, const struct weir_op *op, const char *name, int x);
int odd_two(struct weir_graph_builder *b, const struct weir_op *op, const char *name, int x, int y);
int odd_drop(struct weir_graph_builder *b, const char *name, int x);

/* A parameter of that name each. */
int odd_dense(struct weir_graph_builder *b, const char *weight, int x, int64_t out);
int odd_norm(struct weir_graph_builder *b, const char *gain, int x);
int odd_scale(struct weir_graph_builder *b, const char *name, int x);
int odd_fork(struct weir_graph_builder *b, const char *name, int x);
int odd_bend(struct weir_graph_builder *b, const char *name, int x);

#endif
