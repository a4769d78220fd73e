/* weir train, what is left of a run that fails: the flight record. */
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/printable.h"
#include "base/text.h"
#include "cmd/launched.h"
#include "cmd/train.h"

static const char file_name[] = "weir-flight.json";

static volatile int n_wanted; /* handlers have no other way to say what they saw */

static void quit_note(int number)
{
    (void)number;
    n_wanted++;
}

static timer_t soon;
static volatile sig_atomic_t has_soon;

/* A launcher that is none of ours ends all with SIGTERM when one has died, and kills them a second later: on other hosts that is all
 * that is heard of it.  Who is still there by then says what it was at. */
static void soon_open(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGQUIT};
    has_soon = launched_several() && !launched_supervised() && timer_create(CLOCK_MONOTONIC, &event, &soon) == 0;
}

void train_flight_soon(void)
{
    const struct itimerspec time = {.it_value = {.tv_nsec = 500000000}};
    if (has_soon)
        timer_settime(soon, 0, &time, NULL);
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
    soon_open();
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
