/* Host functions on streams of any kind of device, for tests that hold streams up and count what ran.
 *
 * On kinds with WEIR_DEVICE_TASKS that is run().  On cuda a kernel function enqueues the host function; what it returns is
 * lost there, so that failures have a call of their own. */
#ifndef WEIR_TESTS_DEVICE_CALLS_H
#define WEIR_TESTS_DEVICE_CALLS_H

#include <stdbool.h>

#include "engine/device/device.h"

/* Enqueue fn(argument), which succeeds. */
weir_status testing_stream_call(const struct weir_device_kind *kind, weir_stream *stream, weir_task_fn fn, void *argument);

/* Enqueue a kernel, or where there are tasks a task, that fails as fn(NULL) does. */
weir_status testing_stream_fail(const struct weir_device_kind *kind, weir_stream *stream, weir_task_fn fn);

/* The kind runs on this machine; else prints why not. */
bool testing_device_there(const struct weir_device_kind *kind, int *n_devices_out);

#endif
