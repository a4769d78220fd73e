/* Numbers that are awaited: across the wrap, with a deadline, from another thread and from another process.   labels: threads */
#include "tests/support/testing.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/futex.h"

enum { ROUNDS = 20000, FIRST = -1000 };

static void a_number_is_reached_across_the_wrap(void **state)
{
    (void)state;
    struct weir_futex futex;
    weir_futex_init(&futex, UINT32_MAX);
    assert_true(weir_futex_reached(&futex, UINT32_MAX));
    assert_false(weir_futex_reached(&futex, 0));
    weir_futex_set(&futex, 3, WEIR_FUTEX_THREADS);
    assert_true(weir_futex_reached(&futex, UINT32_MAX - 5));
    assert_true(weir_futex_wait(&futex, 3, false, 0, WEIR_FUTEX_THREADS));
}

static void a_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    struct weir_futex futex;
    weir_futex_init(&futex, 0);
    for (int scope = WEIR_FUTEX_THREADS; scope <= WEIR_FUTEX_PROCESSES; scope++) {
        int64_t end = weir_clock_ns() + 20000000;
        assert_false(weir_futex_wait(&futex, 1, true, end, (enum weir_futex_scope)scope));
        assert_true(weir_clock_ns() >= end);
    }
    assert_int_equal(atomic_load(&futex.n_sleepers), 0);
}

struct pair {
    struct weir_futex there, back;
    enum weir_futex_scope scope;
};

/* Answer every number with the same number. */
static void *answers(void *argument)
{
    struct pair *pair = argument;
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        weir_futex_wait(&pair->there, (uint32_t)FIRST + i, i % 3 == 0, WEIR_FUTEX_FOREVER, pair->scope);
        weir_futex_set(&pair->back, (uint32_t)FIRST + i, pair->scope);
    }
    return NULL;
}

static void asks(struct pair *pair)
{
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        weir_futex_set(&pair->there, (uint32_t)FIRST + i, pair->scope);
        assert_true(weir_futex_wait(&pair->back, (uint32_t)FIRST + i, i % 2 == 0, WEIR_FUTEX_FOREVER, pair->scope));
    }
}

static void pair_init(struct pair *pair, enum weir_futex_scope scope)
{
    weir_futex_init(&pair->there, (uint32_t)FIRST);
    weir_futex_init(&pair->back, (uint32_t)FIRST);
    pair->scope = scope;
}

static void two_threads_never_miss_each_other(void **state)
{
    (void)state;
    struct pair pair;
    pthread_t thread;
    pair_init(&pair, WEIR_FUTEX_THREADS);
    assert_int_equal(pthread_create(&thread, NULL, answers, &pair), 0);
    asks(&pair);
    pthread_join(thread, NULL);
}

static void two_processes_never_miss_each_other(void **state)
{
    (void)state;
    struct pair *pair = mmap(NULL, sizeof *pair, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int left = -1;
    assert_true(pair != MAP_FAILED);
    pair_init(pair, WEIR_FUTEX_PROCESSES);
    pid_t child = fork();
    if (child == 0) {
        answers(pair);
        _exit(0);
    }
    asks(pair);
    assert_int_equal(waitpid(child, &left, 0), child);
    assert_int_equal(left, 0);
    munmap(pair, sizeof *pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_reached_across_the_wrap),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(two_threads_never_miss_each_other),
        cmocka_unit_test(two_processes_never_miss_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
