/* A child after fork() of a program with an engine: it is told, returns, and may end as it likes.
 * Not for the thread sanitizer: it does not follow a child of a process with threads, nor MPI when it is unloaded. */
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "include/weir/weir.h"
#include "models/model_kinds.h"
#include "weir_libraries.h"

enum { HANG_S = 60, MICROBATCHES = 2, SEQ = 8 };

/* With all exit functions; but the leak check would find the copies of what stays with the parent. */
#ifdef __SANITIZE_ADDRESS__
#define CHILD_END _exit
#else
#define CHILD_END exit
#endif

struct program {
    struct weir_arena arena;
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    weir_engine *engine;
};

static void program_open(struct program *p, const char *transport, int stages)
{
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = SEQ};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    *p = (struct program){.engine = NULL};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &p->arena, &p->graph));
    assert_ok(weir_pipeline_schedule("1f1b", stages, 0, MICROBATCHES, &p->arena, &p->schedule));
    config.graph = p->graph;
    config.schedule = &p->schedule;
    config.transport = transport;
    assert_ok(weir_engine_open(&config, &p->engine));
}

static weir_status step(weir_engine *engine, double *loss_out)
{
    int32_t tokens[SEQ] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct weir_step_report report;
    weir_status status = WEIR_OK;
    for (int mb = 0; mb < MICROBATCHES && !status; mb++) {
        status = weir_engine_feed(engine, "tokens", mb, tokens);
        if (!status)
            status = weir_engine_feed(engine, "targets", mb, tokens);
    }
    if (!status)
        status = weir_engine_step(engine, 1e-3, &report);
    if (!status)
        *loss_out = report.loss;
    return status;
}

static int child_try(weir_engine *engine)
{
    double loss;
    weir_status status = step(engine, &loss);
    bool told = status && strstr(weir_last_error(), "before fork()");
    if (!told)
        print_error("status %d '%s'\n", (int)status, weir_last_error());
    weir_engine_close(engine);
    return !told;
}

static void child_check(const char *transport, int stages)
{
    struct program p;
    double loss, first;
    int code = -1;
    program_open(&p, transport, stages);
    assert_ok(step(p.engine, &first));
    pid_t child = fork();
    if (child == 0) {
        alarm(HANG_S);
        CHILD_END(child_try(p.engine));
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    assert_ok(step(p.engine, &loss));
    assert_true(loss < first);
    weir_engine_close(p.engine);
    weir_arena_release(&p.arena);
}

static void a_child_of_an_engine_returns(void **state)
{
    (void)state;
    child_check(NULL, 1);
    child_check(NULL, 3);
}

static void a_child_of_a_process_of_mpi_returns_and_ends(void **state)
{
    (void)state;
    if (!WEIR_HAVE_MPI) {
        print_message("skipped: this build has no MPI\n");
        return;
    }
    child_check("mpi", 1);
}

int main(void)
{
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_of_an_engine_returns),
        cmocka_unit_test(a_child_of_a_process_of_mpi_returns_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
