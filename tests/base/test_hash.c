/* hash: the value of the whole, however it comes.   labels: pure */
#include "base/hash.h"
#include "tests/support/testing.h"

static void a_hash_of_parts_is_that_of_the_whole(void **state)
{
    (void)state;
    enum { BYTES = 5000 };
    unsigned char data[BYTES];
    weir_hasher *hasher;
    for (int i = 0; i < BYTES; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    assert_ok(weir_hasher_open(&hasher));
    for (size_t part = 1; part < BYTES; part = part * 3 + 1) {
        weir_hasher_restart(hasher);
        for (size_t at = 0; at < BYTES; at += part)
            weir_hasher_add(hasher, data + at, BYTES - at < part ? BYTES - at : part);
        assert_true(weir_hasher_value(hasher) == weir_hash64(data, BYTES, 0));
    }
    weir_hasher_restart(hasher);
    assert_true(weir_hasher_value(hasher) == 0x2d06800538d394c2); /* XXH3 of nothing */
    weir_hasher_close(hasher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_hash_of_parts_is_that_of_the_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
