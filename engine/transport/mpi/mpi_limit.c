/* Calls of the library that wait for all processes and look at no clock, with a limit: they run on a thread of their own, which is
 * left behind when it takes too long.  Then MPI is of no use any more. */
#include "engine/transport/mpi/mpi_shared.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { UNDER_WAY, OVER };

/* Processes of a busy machine take seconds to come up, however short their waits may be afterwards. */
static const int64_t least_ns = INT64_C(5000000000);

/* Of a thread that is left behind nobody takes it. */
struct call {
    struct weir_futex state;
    struct weir_transport_config config;
    weir_status (*fn)(const struct weir_transport_config *config, void **result_out);
    void *result;
    weir_status status;
    char message[WEIR_ERROR_MAX];
};

static void *call_run(void *argument)
{
    struct call *call = argument;
    call->status = call->fn(&call->config, &call->result);
    if (call->status)
        weir_error_take(call->message);
    weir_futex_set(&call->state, OVER, WEIR_FUTEX_THREADS);
    return NULL;
}

/* A process that was stopped meanwhile has not waited. */
static bool call_await(struct call *call, int64_t timeout_ns)
{
    static const int64_t look_ns = INT64_C(100000000), most_ns = INT64_C(1000000000);
    int64_t last = weir_clock_ns(), waited = 0;
    while (!weir_futex_sleep(&call->state, OVER, look_ns, WEIR_FUTEX_THREADS)) {
        int64_t now = weir_clock_ns();
        waited += now - last < most_ns ? now - last : most_ns;
        last = now;
        if (timeout_ns && waited > timeout_ns)
            return false;
    }
    return true;
}

weir_status weir_mpi_limited(weir_status (*fn)(const struct weir_transport_config *config, void **result_out),
                             const struct weir_transport_config *config, const char *what, void **result_out)
{
    struct call *call;
    pthread_t thread;
    int64_t limit_ns = config->timeout_ns && config->timeout_ns < least_ns ? least_ns : config->timeout_ns;
    weir_status status = weir_alloc(1, sizeof *call, &call);
    if (status)
        return status;
    weir_futex_init(&call->state, UNDER_WAY);
    call->config = *config;
    call->fn = fn;
    int reason = pthread_create(&thread, NULL, call_run, call);
    if (reason) {
        weir_free(call);
        return WEIR_FAIL(WEIR_ERR_NOMEM, "cannot start a thread for MPI: %s", strerror(reason));
    }
    if (!call_await(call, limit_ns)) {
        weir_mpi_abandon(NULL);
        return WEIR_FAIL(WEIR_ERR_TIMEOUT, "%s has not returned for %.1f s: it waits for all processes %s, and one of them is stopped, "
                                           "out of reach or has not called", what, (double)limit_ns * 1e-9,
                         config->communicator ? "of the communicator" : "that the launcher started");
    }
    pthread_join(thread, NULL);
    status = call->status;
    if (status)
        weir_error_put(call->message);
    else if (result_out)
        *result_out = call->result;
    weir_free(call);
    return status;
}
