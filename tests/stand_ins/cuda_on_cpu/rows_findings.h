/* What the programs that compare CUDA kernels with the CPU's find.
 *
 * A comparison that fails ends its test.  With WEIR_ROWS_ALL=1 each is printed and the rest goes on, so that one visit to a GPU
 * shows all of them, and at the end the worst error of every operation is printed, well or not:
 *
 *     FAILED  attention, a wide head: output[17] is 0.25, it should be 0.26
 *     worst   attention bf16: 4.1e-03 of 6.0e-03, d_input of 'a wide head'
 *
 * WEIR_ROWS_CASE=3 runs the fourth case alone. */
#ifndef WEIR_TESTS_ROWS_FINDINGS_H
#define WEIR_TESTS_ROWS_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "include/weir/op.h"
#include "tests/support/op_cases.h"

/* A failure of the running test. */
void rows_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether `status`, of running `what` of a case, is WEIR_OK; else a failure. */
bool rows_ran(const struct op_case *c, const char *what, weir_status status);

/* `got` on the device's side against the CPU's `wanted`: |difference| <= tolerance * (largest |wanted|, at least 1). */
void rows_compare(const struct op_case *c, const char *what, const struct weir_tensor *got, const float *wanted, int64_t n,
                  double tolerance);

/* A number compared otherwise: how far off it is, of how much is allowed. */
void rows_note(const struct op_case *c, const char *what, bool bf16, double error, double tolerance);

/* Is case i one of those that are to run? */
bool rows_case_runs(int i);

/* Teardown of a test: -1 when something failed in it.  Of all: prints the worst errors. */
int rows_findings_check(void **state);
void rows_findings_print(void);

#endif
