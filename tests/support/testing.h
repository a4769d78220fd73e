/* What the tests share: CMocka with its headers in order, checks on statuses and messages, files of the test run. */
#ifndef WEIR_TESTING_H
#define WEIR_TESTING_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/status.h"

/* Fails the test with the recorded message unless `call` returns WEIR_OK. */
#define assert_ok(call) testing_assert_ok((call), #call, __FILE__, __LINE__)

/* Fails unless `call` returns `status` and the recorded message contains `words`. */
#define assert_fails(call, status, words) testing_assert_fails((call), (status), (words), #call, __FILE__, __LINE__)

void testing_assert_ok(weir_status status, const char *call, const char *file, int line);
void testing_assert_fails(weir_status status, weir_status wanted, const char *words, const char *call, const char *file,
                          int line);

/* $WEIR_TEST_DATA/`name` when that variable is set and the file is there; else prints why and returns NULL, and the
 * test calls skip(). */
const char *testing_data_path(const char *name);

/* A fresh directory below $TMPDIR, made once per program and removed with its files at exit. */
const char *testing_dir(void);

/* testing_dir()/`name`; the last eight results stay valid. */
const char *testing_path(const char *name);

#endif
