#include "rows_findings.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device_rig.h"
#include "tests/support/testing.h"

enum { MOST = 64, TEXT = 400 };

/* The worst error of an operation in one type. */
struct worst {
    const char *op, *what, *sentence;
    bool bf16;
    double error, tolerance;
};

static struct worst worsts[MOST];
static int n_worsts, n_failures;

static bool tells_all(void)
{
    return getenv("WEIR_ROWS_ALL") != NULL;
}

void rows_fail(const char *format, ...)
{
    char text[TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!tells_all())
        fail_msg("%s", text);
    printf("FAILED  %s\n", text);
    fflush(stdout);
    n_failures++;
}

bool rows_ran(const struct op_case *c, const char *what, weir_status status)
{
    if (status)
        rows_fail("%s, %s: %s: %s", c->op->name, c->sentence, what, weir_last_error());
    return !status;
}

void rows_note(const struct op_case *c, const char *what, bool bf16, double error, double tolerance)
{
    int i = 0;
    while (i < n_worsts && (worsts[i].bf16 != bf16 || strcmp(worsts[i].op, c->op->name) != 0))
        i++;
    if (i == MOST || (i < n_worsts && !(error / tolerance > worsts[i].error / worsts[i].tolerance || isnan(error))))
        return;
    n_worsts += i == n_worsts;
    worsts[i] = (struct worst){c->op->name, what, c->sentence, bf16, error, tolerance};
}

void rows_compare(const struct op_case *c, const char *what, const struct weir_tensor *got, const float *wanted, int64_t n,
                  double tolerance)
{
    double most = 1, worst = 0;
    int64_t bad = -1, n_bad = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)wanted[i]));
    for (int64_t i = 0; i < n; i++) {
        double error = fabs((double)device_rig_element(got, i) - (double)wanted[i]) / most;
        worst = error <= worst ? worst : error; /* a NaN too */
        if (error <= tolerance)
            continue;
        bad = bad < 0 ? i : bad;
        n_bad++;
    }
    rows_note(c, what, got->code == 4, worst, tolerance);
    if (bad >= 0)
        rows_fail("%s, %s: %s[%ld] is %.9g, it should be %.9g; %ld of %ld elements are off, by %.2g of the largest at most, %.2g "
                  "is allowed",
                  c->op->name, c->sentence, what, (long)bad, (double)device_rig_element(got, bad), (double)wanted[bad],
                  (long)n_bad, (long)n, worst, tolerance);
}

bool rows_case_runs(int i)
{
    const char *only = getenv("WEIR_ROWS_CASE");
    return !only || atoi(only) == i;
}

int rows_findings_check(void **state)
{
    (void)state;
    int failures = n_failures;
    n_failures = 0;
    return failures ? -1 : 0;
}

void rows_findings_print(void)
{
    for (int i = 0; i < n_worsts && tells_all(); i++)
        printf("worst   %s %s: %.1e of %.1e, %s of '%s'\n", worsts[i].op, worsts[i].bf16 ? "bf16" : "f32", worsts[i].error,
               worsts[i].tolerance, worsts[i].what, worsts[i].sentence);
    fflush(stdout);
}
