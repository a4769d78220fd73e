/* How the stand-in behaves: modes and failures, from the environment or from a test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "fake_comm.h"

struct weir_fake_nccl_modes fake_modes = {.async_at = -1, .silent_at = -1};

static int64_t n_calls, n_launches, fail_at = -1; /* guarded by fake.lock */
static ncclResult_t fail_with = ncclSystemError;
static bool fail_sticky;
static _Atomic uint64_t draws;

ncclResult_t fake_nccl_enter(void)
{
    int64_t call = n_calls++;
    if (fake.sticky)
        return ncclUnhandledCudaError;
    return fail_at >= 0 && (call == fail_at || (fail_sticky && call > fail_at)) ? fail_with : ncclSuccess;
}

enum fake_fate fake_launch_fate(void)
{
    int64_t launch = n_launches++;
    return launch == fake_modes.async_at ? FAKE_FAILS : launch == fake_modes.silent_at ? FAKE_NEVER_ENDS : FAKE_GOES_WELL;
}

/* Now and then up to 300 microseconds. */
void fake_pause_maybe(void)
{
    if (!fake_modes.random)
        return;
    uint64_t draw = (fake.machine.seed + atomic_fetch_add(&draws, 1)) * 6364136223846793005u + 1442695040888963407u;
    draw = (draw ^ draw >> 29) * 0xbf58476d1ce4e5b9u >> 32;
    if (draw % 4 == 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)(draw % 300000)}, NULL);
}

void weir_fake_nccl_set(const struct weir_fake_nccl_modes *modes)
{
    pthread_mutex_lock(&fake.lock);
    fake_modes = *modes;
    fail_at = -1;
    n_launches = 0;
    pthread_mutex_unlock(&fake.lock);
}

void weir_fake_nccl_fail(int64_t k, int error, int sticky)
{
    pthread_mutex_lock(&fake.lock);
    n_calls = 0;
    fail_at = k;
    fail_with = (ncclResult_t)error;
    fail_sticky = sticky;
    pthread_mutex_unlock(&fake.lock);
}

int64_t weir_fake_nccl_calls(void)
{
    pthread_mutex_lock(&fake.lock);
    int64_t n = n_calls;
    pthread_mutex_unlock(&fake.lock);
    return n;
}

/* ---- WEIR_FAKE_NCCL ------------------------------------------------------------------------------------------------ */

static bool flag_read(const char *word)
{
    static const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"serial", &fake_modes.serial}, {"random", &fake_modes.random}, {"slow", &fake_modes.slow},
                 {"remote", &fake_modes.remote}, {"abort-hangs", &fake_modes.abort_hangs},
                 {"abort-syncs", &fake_modes.abort_syncs}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (!strcmp(word, flags[i].name))
            return *flags[i].flag = true;
    return false;
}

static bool number_read(const char *word)
{
    static const struct {
        const char *name;
        int64_t *number;
    } numbers[] = {{"fail=", &fail_at}, {"fail-from=", &fail_at}, {"async=", &fake_modes.async_at},
                   {"silent=", &fake_modes.silent_at}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strncmp(word, numbers[i].name, strlen(numbers[i].name))) {
            fail_sticky = fail_sticky || i == 1;
            return weir_parse_int64(word + strlen(numbers[i].name), numbers[i].number) && *numbers[i].number >= 0;
        }
    return false;
}

__attribute__((constructor)) static void modes_read(void)
{
    const char *text = getenv("WEIR_FAKE_NCCL");
    char copy[256], *rest = copy;
    snprintf(copy, sizeof copy, "%s", text ? text : "");
    for (char *word; (word = strsep(&rest, ","));)
        if (*word && !flag_read(word) && !number_read(word)) {
            fprintf(stderr, "WEIR_FAKE_NCCL: '%s' is no mode of the stand-in for NCCL\n", word);
            _Exit(2);
        }
}
