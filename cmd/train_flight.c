/* weir train, what is left of a run that fails: the flight record. */
#include <signal.h>
#include <stdio.h>

#include "base/printable.h"
#include "base/text.h"
#include "cmd/train.h"

static const char file_name[] = "weir-flight.json";

static volatile int n_wanted; /* handlers have no other way to say what they saw */

static void quit_note(int number)
{
    (void)number;
    n_wanted++;
}

weir_status train_flight_open(struct train_run *run)
{
    struct weir_text path = {0};
    const char *dir = run->options->checkpoint_dir, *kept = NULL;
    weir_text_append(&path, "%s%s%s", dir ? dir : "", dir ? "/" : "", file_name);
    weir_status status = path.status ? path.status : weir_arena_strdup(&run->arena, path.data, &kept);
    weir_text_release(&path);
    if (status)
        return status;
    weir_engine_flight_to(run->engine, kept, &n_wanted);
    signal(SIGQUIT, quit_note);
    return WEIR_OK;
}

void train_flight_print(const struct train_run *run)
{
    char path[4096], shown[4096];
    if (!run->engine || !weir_engine_flight_is_written(run->engine))
        return;
    weir_engine_flight_path(run->engine, path, sizeof path);
    fprintf(stderr, "weir %s: what every rank did last: weir explain %s\n", train_command(run->options),
            weir_printable(path, shown, sizeof shown));
}
