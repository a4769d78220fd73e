/* A checkpoint whose manifest is on the disk stays, though a process was lost before all had heard of it.   labels: threads
 *
 * With an argument the program is one process of a run; the argument is the folder of checkpoints. */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/transport/bootstrap/weir_launch.h"
#include "tests/support/faulty_graph.h"
#include "tests/support/launched_rig.h"

static const char *self;
static char folder[] = "/tmp/weir-saver.XXXXXX";

static bool is_there(const char *dir)
{
    char path[256];
    snprintf(path, sizeof path, "%s/step-000001/manifest.json", dir);
    return access(path, F_OK) == 0;
}

/* Half a second for the manifest to come: it does so once the parts of all are there. */
static void leave_with_manifest(const char *dir)
{
    for (int i = 0; i < 50; i++) {
        if (is_there(dir))
            _exit(0);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

/* One step and its checkpoint, during which rank 1 leaves: the manifest is there then, and nobody has heard so. */
static int process_run(const char *dir)
{
    weir_engine *engine = NULL;
    struct weir_step_report report;
    struct weir_save save = {.struct_bytes = sizeof save, .dir = dir, .keep = 1, .background = true};
    bool leaves = !strcmp(getenv(WEIR_LAUNCH_RANK), "1"), busy = true;
    weir_status status = faulty_open("shm", 20, &engine);
    if (!status)
        status = faulty_step(engine, &report);
    if (!status)
        status = weir_engine_save(engine, &save);
    while (!status && busy) {
        if (leaves)
            leave_with_manifest(dir);
        status = weir_engine_save_poll(engine, &busy);
    }
    weir_status waited = weir_engine_save_wait(engine);
    printf("%s, %s\n", weir_status_str(status), weir_status_str(waited));
    fflush(stdout);
    weir_engine_close(engine);
    return weir_status_exit_code(status);
}

static void a_checkpoint_that_is_whole_stays_when_a_process_is_lost(void **state)
{
    (void)state;
    char text[4096], remove[64];
    int codes[LAUNCHED_MOST];
    launched_run(self, folder, FAULTY_LAYERS, 60, text, sizeof text, codes);
    if (codes[0] != 4 || codes[1] != 0 || !is_there(folder))
        fail_msg("statuses %d %d, the manifest is%s there: %s", codes[0], codes[1], is_there(folder) ? "" : " not", text);
    snprintf(remove, sizeof remove, "rm -r %s", folder);
    assert_int_equal(system(remove), 0);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1)
        _exit(process_run(argv[1]));
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_checkpoint_that_is_whole_stays_when_a_process_is_lost)};
    return mkdtemp(folder) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
