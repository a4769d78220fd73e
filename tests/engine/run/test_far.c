/* When signs of life go to other hosts, and what they say.   labels: pure */
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "engine/run/far.h"

enum { N_RANKS = 2, MOST_BYTES = 512 };

/* A transport that keeps the last sign.  (Its handle is never looked into.) */
static struct {
    int n_signs;
    bool busy;
    _Alignas(8) char sign[MOST_BYTES]; /* as a sign is */
    size_t bytes;
} wire;

static bool wire_beat(weir_transport *transport, const void *mine, size_t bytes, weir_heard_fn heard, void *context)
{
    (void)transport;
    (void)heard;
    (void)context;
    if (wire.busy)
        return false;
    if (mine) {
        assert_true(bytes <= sizeof wire.sign);
        memcpy(wire.sign, mine, bytes);
        wire.bytes = bytes;
        wire.n_signs++;
    }
    return true;
}

/* Hands over what was kept. */
static bool echo_beat(weir_transport *transport, const void *mine, size_t bytes, weir_heard_fn heard, void *context)
{
    (void)transport;
    (void)mine;
    (void)bytes;
    heard(context, 1, wire.sign);
    return true;
}

static const struct weir_transport_kind quiet = {.name = "quiet", .beat = wire_beat}, echo = {.name = "echo", .beat = echo_beat};
static const int64_t timeout_ns = INT64_C(8000000000), period_ns = INT64_C(1000000000);

static void signs_are_due_with_the_first_instruction_and_then_by_the_clock(void **state)
{
    (void)state;
    struct weir_flight *own = calloc(1, sizeof *own);
    struct weir_far *far, *theirs;
    struct weir_heard heard[N_RANKS] = {{0}};
    int64_t now = 100 * period_ns;
    assert_non_null(own);
    own->pid = 77;
    strcpy(own->host, "left");
    assert_ok(weir_far_open(&quiet, NULL, N_RANKS, 0, timeout_ns, NULL, &far));
    assert_ok(weir_far_open(&echo, NULL, N_RANKS, 1, timeout_ns, heard, &theirs));

    assert_true(weir_far_beat(far, own, now));
    assert_int_equal(wire.n_signs, 1);
    assert_true(weir_far_beat(far, own, now + 1));
    assert_int_equal(wire.n_signs, 1);
    assert_false(far->told_begun);
    assert_true(weir_far_beat(theirs, own, now + 1));
    assert_int_equal(weir_far_flight(theirs, 0)->n, 0);

    /* the library is in other hands: it stays due */
    weir_flight_begin(own, 5, 0, 0, now + 2);
    wire.busy = true;
    assert_false(weir_far_beat(far, own, now + 3));
    wire.busy = false;
    assert_true(weir_far_beat(far, own, now + 4));
    assert_int_equal(wire.n_signs, 2);
    assert_true(far->told_begun);
    assert_true(weir_far_beat(theirs, own, now + 5));
    assert_int_equal(weir_far_flight(theirs, 0)->n, 1);
    assert_int_equal(weir_far_flight(theirs, 0)->entries[0].instr, 5);
    assert_string_equal(weir_far_flight(theirs, 0)->host, "left");
    assert_true(weir_heard_has_ended(&heard[0], 4, 0, 0));
    assert_false(weir_heard_has_ended(&heard[0], 5, 0, 0)); /* it waits in it */
    assert_null(weir_far_flight(theirs, 1));

    weir_flight_begin(own, 6, 0, 0, now + 6);
    assert_true(weir_far_beat(far, own, now + 7));
    assert_true(weir_far_beat(far, own, now + 3 + period_ns));
    assert_int_equal(wire.n_signs, 2);
    assert_true(weir_far_beat(far, own, now + 4 + period_ns));
    assert_int_equal(wire.n_signs, 3);

    weir_far_close(far);
    weir_far_close(theirs);
    free(own);
}

static void what_was_heard_says_what_has_ended(void **state)
{
    (void)state;
    static const struct {
        int instr;
        uint32_t is_guest, step, ended;
        int asked;
        uint32_t asked_guest, asked_step;
        bool has_ended;
    } rows[] = {{3, 0, 7, 1, 3, 0, 7, true},   {3, 0, 7, 0, 3, 0, 7, false}, {3, 0, 7, 0, 2, 0, 7, true}, {3, 0, 7, 1, 4, 0, 7, false},
                {0, 0, 8, 0, 9, 0, 7, true},   {9, 0, 6, 1, 0, 0, 7, false}, {9, 1, 7, 1, 0, 0, 7, false},
                {0x7fffffff, 1, 0x7fffffff, 1, 0x7fffffff, 1, 0x7fffffff, true}};
    struct weir_heard heard = {0};
    assert_false(weir_heard_has_ended(&heard, 0, 0, 0));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_flight_entry entry = {.instr = rows[i].instr, .is_guest = rows[i].is_guest & 1, .step = rows[i].step & 0x7fffffff,
                                          .end_ns = rows[i].ended};
        weir_heard_put(&heard, &entry);
        assert_int_equal(weir_heard_has_ended(&heard, rows[i].asked, rows[i].asked_guest, rows[i].asked_step), rows[i].has_ended);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_heard_says_what_has_ended),
                                       cmocka_unit_test(signs_are_due_with_the_first_instruction_and_then_by_the_clock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
