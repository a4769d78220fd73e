/* The progress of a run: what a terminal shows, and what a file gets.   labels: pure */
#include "tests/support/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/progress.h"

/* What `show` prints on standard error, to be freed. */
static char *printed(void (*show)(void))
{
    const char *path = testing_path("shown");
    char *text;
    size_t n;
    int kept = dup(STDERR_FILENO), file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(kept >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0);
    show();
    fflush(stderr);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    close(file);
    assert_ok(weir_file_read(path, 1 << 20, &text, &n));
    return text;
}

static bool on_terminal;

/* Three steps, the first of which a validation follows. */
static void three_steps(void)
{
    struct progress progress;
    const double val_loss = 2.5;
    progress_start(&progress, 0, 10, "tok", false);
    progress.terminal = on_terminal;
    for (int64_t step = 0; step < 3; step++) {
        struct weir_step_report report = {.step = step, .loss = 3};
        progress.shown_ns = 0; /* long ago */
        progress_step(&progress, &report, 1e-3, 1000, step == 0 ? &val_loss : NULL);
    }
    progress_end(&progress);
}

static void a_terminal_keeps_a_validation_with_the_step_that_it_belongs_to(void **state)
{
    (void)state;
    on_terminal = true;
    char *text = printed(three_steps);
    assert_non_null(strstr(text, "step 1/10 [##------------------] loss 3.0000 val 2.5000 norm"));
    assert_non_null(strstr(text, "step 2/10 [####----------------] loss 3.0000 val 2.5000 (step 1) norm"));
    assert_non_null(strstr(text, "step 3/10 [######--------------] loss 3.0000 val 2.5000 (step 1) norm"));
    free(text);
}

static void a_file_has_a_validation_once(void **state)
{
    (void)state;
    on_terminal = false;
    char *text = printed(three_steps);
    assert_non_null(strstr(text, "step 1/10 loss 3.0000 val 2.5000 norm"));
    assert_non_null(strstr(text, "step 3/10 loss 3.0000 norm"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_terminal_keeps_a_validation_with_the_step_that_it_belongs_to),
        cmocka_unit_test(a_file_has_a_validation_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
