/* Inside the template maker: the templates of one stage while their calls are listed.
 *
 * template.c is the entry, template_forward.c and template_backward.c are its two halves, template_resolve.c gives scratch
 * its offsets; template_base.c below them has what all lists are made of: buffers and calls.  After a failure `status` is
 * set, nothing more is added, and the caller checks once. */
#ifndef WEIR_ENGINE_PROGRAM_TEMPLATE_H
#define WEIR_ENGINE_PROGRAM_TEMPLATE_H

#include "engine/program/compile.h"
#include "engine/program/keeps.h"
#include "engine/program/pack.h"

struct weir_template_buffer {
    size_t bytes;
    enum weir_place place; /* SCRATCH until decided otherwise */
    size_t offset;
    int boundary;    /* GRAD_SLOT */
    int first, last; /* calls of the list being resolved */
};

/* A value that crosses into the stage or out of it. */
struct weir_template_crossing {
    int value;
    size_t bytes;
    struct weir_where slot, gradient; /* SLOT, GRAD_SLOT */
    struct weir_where copy;           /* out: of the gradient, for W; NONE: there is none */
};

struct weir_template_list {
    struct weir_step_call *calls;
    int n;
    size_t room;
};

struct weir_template {
    struct weir_compile *c;
    int slice;
    const struct weir_graph *graph; /* of the slice */
    struct weir_stage_program *stage;
    int first, end; /* nodes */
    int n_ins, n_outs;
    struct weir_template_crossing *ins, *outs; /* values that come from earlier stages, that go to later ones */
    struct weir_keeps keeps;
    struct weir_where *value_at; /* [end - first]: where calls that are added now find it */
    struct weir_where *saved_at; /* [end - first] */
    struct weir_where input_grad_loss; /* where the loss leaves the gradient of its prediction */
    struct weir_where *grad_at;  /* [end - first + n_ins]: sum so far; of the stage's nodes, then of `ins` */
    struct weir_template_buffer *buffers;
    int n_buffers;
    size_t buffer_room;
    struct weir_step_call spare; /* what is written after a failure */
    weir_status status;          /* first failure */
};

/* ---- questions --------------------------------------------------------------------------------------------------- */
const struct weir_node *weir_template_node(const struct weir_template *t, int n);
bool weir_template_inside(const struct weir_template *t, int value); /* a node of this stage makes it */
const struct weir_template_crossing *weir_template_in(const struct weir_template *t, int value);  /* or NULL: it does not come */
const struct weir_template_crossing *weir_template_out(const struct weir_template *t, int value); /* or NULL: it does not go on */
struct weir_where weir_template_value(const struct weir_template *t, int value); /* where a call of this stage reads it */
bool weir_where_same(const struct weir_where *a, const struct weir_where *b);
bool weir_template_wants_grad(const struct weir_template *t, int value);
size_t weir_template_value_bytes(const struct weir_template *t, int value); /* rounded as slots are */
bool weir_template_recomputes(const struct weir_template *t, int layer);

/* ---- what lists are made of ---------------------------------------------------------------------------------------- */

/* A new buffer of scratch; its where carries the buffer's number until the list is resolved. */
struct weir_where weir_template_buffer(struct weir_template *t, size_t bytes);

/* Room for so many calls in an empty list, which grows beyond them: calls are large. */
void weir_template_reserve(struct weir_template *t, struct weir_template_list *list, int n);

/* A new call at the end of the list, all zero but for its node, -1. */
struct weir_step_call *weir_template_call(struct weir_template *t, struct weir_template_list *list);

void weir_template_copy(struct weir_template *t, struct weir_template_list *list, struct weir_where to,
                        struct weir_where from, size_t bytes);

/* A call of `pass` of node n: shapes, parameters, and what the pass reads (`needs`: enum weir_op_needs). */
struct weir_step_call *weir_template_node_call(struct weir_template *t, struct weir_template_list *list, int n,
                                               enum weir_pass pass, unsigned needs);
void weir_template_weight_grads(struct weir_template *t, struct weir_step_call *call);

/* A call that adds two gradients of `value` in the backward of node n, where no kernel adds one to its own; returns where the sum
 * will be. */
struct weir_where weir_template_sum(struct weir_template *t, struct weir_template_list *list, int n, int value, struct weir_where a,
                                    struct weir_where b);

/* Give every buffer of the list its place and hand the list to the stage. */
void weir_template_resolve(struct weir_template *t, struct weir_template_list *list, enum weir_list which);

/* ---- halves ------------------------------------------------------------------------------------------------------ */
void weir_template_forward(struct weir_template *t); /* decides where values are kept */

/* The calls of B, not yet resolved; the lists of I and W. */
void weir_template_backward(struct weir_template *t, struct weir_template_list *list);
void weir_template_split(struct weir_template *t);

#endif
