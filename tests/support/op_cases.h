/* The cases that every conformance test of the operations runs over: all rows, odd sizes, every attribute. */
#ifndef WEIR_OP_CASES_H
#define WEIR_OP_CASES_H

#include "tests/support/op_rig.h"

extern const struct op_case op_cases[]; /* ends with sentence == NULL */

#endif
