/* safetensors, read: every rule of the format, exact values, dtypes.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/safetensors.h"
#include "base/replace.h"
#include "base/text.h"

enum { MOST_BYTES = 4096 };

static size_t bytes_make(const char *header, size_t data_bytes, char *out)
{
    size_t n = strlen(header);
    for (int i = 0; i < 8; i++)
        out[i] = (char)((uint64_t)n >> (8 * i));
    memcpy(out + 8, header, n);
    for (size_t i = 0; i < data_bytes; i++)
        out[8 + n + i] = (char)i;
    return 8 + n + data_bytes;
}

static const char two[] = "{\"b\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
                          "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[16,19]},\"__metadata__\":{\"k\":\"v\"}}";

static void a_file_shows_its_tensors_by_name(void **state)
{
    (void)state;
    char bytes[MOST_BYTES];
    struct weir_safetensors file;
    assert_ok(weir_safetensors_parse(bytes, bytes_make(two, 19, bytes), "f", &file));
    assert_int_equal(file.n_tensors, 2);
    assert_string_equal(file.tensors[0].name, "a");
    const struct weir_safetensors_tensor *b = weir_safetensors_find(&file, "b");
    assert_int_equal(b->dtype, WEIR_SAFETENSORS_F32);
    assert_int_equal(b->n_dims, 2);
    assert_int_equal(b->n_elements, 4);
    assert_int_equal(b->end, 16);
    assert_null(weir_safetensors_find(&file, "c"));
    assert_string_equal(weir_safetensors_metadata(&file, "k"), "v");
    assert_null(weir_safetensors_metadata(&file, "l"));
    weir_safetensors_close(&file);
}

/* What the format allows and a strict reader might trip over. */
static void odd_files_that_are_right_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
    } rows[] = {
        {"{}", 0},
        {"  {}", 0},
        {"{}  \t\r\n ", 0},
        {"{\"a\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}}", 8},
        {"{\"a\":{\"dtype\":\"F64\",\"shape\":[5,0,7],\"data_offsets\":[0,0]}}", 0},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[2,3],\"data_offsets\":[0,3]}}", 3},
        {"{\"\xc3\xa9\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]},"
         "\"b\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1},
        {"{\"b\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[1,1]}}", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char bytes[MOST_BYTES];
        struct weir_safetensors file;
        assert_ok(weir_safetensors_parse(bytes, bytes_make(rows[i].header, rows[i].data, bytes), "f", &file));
        weir_safetensors_close(&file);
    }
}

#define TENSOR(dtype, shape, offsets)                                                                                  \
    "{\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void every_broken_rule_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *words;
    } rows[] = {
        {"", 0, "safetensors header: 'f' is empty: it needs a JSON document"},
        {"[]", 0, "not a JSON object"},
        {"{} x", 0, "line 1"},
        {"{\"a\"", 0, "line 1"},
        {"{\"\xff\":1}", 0, "unable to decode byte 0xff"},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]},"
         "\"a\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "duplicate"},
        {"{\"a\":{\"dtype\":\"I8\",\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "duplicate"},
        {"{\"a\":1}", 0, "tensor 'a' is not an object"},
        {TENSOR("F128", "[1]", "[0,16]"), 16, "tensor 'a' has dtype 'F128'"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor 'a' has dtype 'none'"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "tensor 'a' has no 'shape'"},
        {TENSOR("F32", "[-1]", "[0,4]"), 4, "dimension 0 of tensor 'a'"},
        {TENSOR("F32", "[1,1.5]", "[0,4]"), 4, "dimension 1 of tensor 'a'"},
        {TENSOR("F32", "[99999999999999999999]", "[0,4]"), 4, "line 1"},
        {TENSOR("F32", "[9223372036854775807,2]", "[0,4]"), 4, "more elements than can be counted"},
        {TENSOR("F32", "[9223372036854775807]", "[0,4]"), 4, "more elements than can be counted"},
        {TENSOR("F4", "[3]", "[0,1]"), 1, "does not end at a whole byte"},
        {TENSOR("F32", "[2]", "[0,4]"), 4, "tensor 'a' F32 (2) needs 8 bytes, its offsets hold 4"},
        {TENSOR("F32", "[1]", "[4,8]"), 8, "tensor 'a' starts at byte 4 of the data, where the tensors before it end at 0"},
        {TENSOR("F32", "[1]", "[8,4]"), 8, "0 <= BEGIN <= END"},
        {TENSOR("F32", "[1]", "[-4,0]"), 4, "0 <= BEGIN <= END"},
        {TENSOR("F32", "[1]", "[0]"), 4, "0 <= BEGIN <= END"},
        {TENSOR("F32", "[1]", "[0,4,4]"), 4, "0 <= BEGIN <= END"},
        {TENSOR("F32", "[1]", "[0,\"4\"]"), 4, "0 <= BEGIN <= END"},
        {TENSOR("F32", "[1]", "[0,4]"), 3, "the tensors have 4 bytes, the file has 3"},
        {TENSOR("F32", "[1]", "[0,4]"), 5, "the tensors have 4 bytes, the file has 5"},
        {"{}", 1, "the tensors have 0 bytes, the file has 1"},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, "tensor 'b' starts at byte 1"},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "starts at byte 0"},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[3,5]}}", 5, "tensor 'b' starts at byte 3"},
        {"{\"__metadata__\":1}", 0, "'__metadata__' is not an object"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "'k' of '__metadata__' is not a string"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char bytes[MOST_BYTES];
        struct weir_safetensors file = {0};
        size_t n = bytes_make(rows[i].header, rows[i].data, bytes);
        assert_fails(weir_safetensors_parse(bytes, n, "f", &file), WEIR_ERR_INVALID, rows[i].words);
        assert_null(file.tensors);
    }
}

static void sizes_that_do_not_fit_the_file_are_named(void **state)
{
    (void)state;
    char bytes[MOST_BYTES];
    struct weir_safetensors file;
    size_t n = bytes_make("{}", 0, bytes);
    assert_fails(weir_safetensors_parse(bytes, 7, "f", &file), WEIR_ERR_INVALID, "'f' has 7 bytes");
    assert_fails(weir_safetensors_parse(bytes, n - 1, "f", &file), WEIR_ERR_INVALID, "the file is cut short");
    bytes[7] = 1;
    assert_fails(weir_safetensors_parse(bytes, n, "f", &file), WEIR_ERR_INVALID, "at most 100000000 are allowed");
    assert_fails(weir_safetensors_open(testing_path("none"), &file), WEIR_ERR_IO, "cannot open");
    assert_fails(weir_safetensors_open(testing_dir(), &file), WEIR_ERR_INVALID, "is a directory, a file is needed");
    assert_ok(weir_file_write(testing_path("empty"), "", 0));
    assert_fails(weir_safetensors_open(testing_path("empty"), &file), WEIR_ERR_INVALID, "has 0 bytes");
}

/* All 65,536 values of a dtype as float32. */
static void sixteen_bits_read(const char *dtype, float *values)
{
    static char bytes[8 + 256 + 2 * 65536];
    char header[256];
    struct weir_safetensors file;
    snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[65536],\"data_offsets\":[0,131072]}}", dtype);
    size_t n = bytes_make(header, 131072, bytes), start = n - 131072;
    for (size_t i = 0; i < 65536; i++) {
        bytes[start + 2 * i] = (char)i;
        bytes[start + 2 * i + 1] = (char)(i >> 8);
    }
    assert_ok(weir_safetensors_parse(bytes, n, "f", &file));
    assert_ok(weir_safetensors_floats(&file, &file.tensors[0], 0, 65536, values));
    float last;
    assert_ok(weir_safetensors_floats(&file, &file.tensors[0], 65535, 1, &last));
    assert_memory_equal(&last, values + 65535, sizeof last);
    weir_safetensors_close(&file);
}

/* The value of sign, exponent and fraction, from the definition of IEEE 754. */
static double value_of(unsigned bits, int fraction_bits, int exponent_bits)
{
    int exponent = (int)(bits >> fraction_bits) & ((1 << exponent_bits) - 1), bias = (1 << (exponent_bits - 1)) - 1;
    double fraction = ldexp(bits & ((1u << fraction_bits) - 1), -fraction_bits), sign = bits >> 15 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1)
        return fraction > 0 ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1 + fraction, exponent - bias) : ldexp(fraction, 1 - bias));
}

static void every_value_of_sixteen_bits_is_read_exactly(void **state)
{
    (void)state;
    static float values[65536];
    static const struct {
        const char *name;
        int fraction, exponent;
    } dtypes[] = {{"F16", 10, 5}, {"BF16", 7, 8}};
    for (int d = 0; d < 2; d++) {
        sixteen_bits_read(dtypes[d].name, values);
        for (unsigned i = 0; i < 65536; i++) {
            double wanted = value_of(i, dtypes[d].fraction, dtypes[d].exponent);
            bool same = isnan(wanted) ? isnan(values[i])
                                      : (double)values[i] == wanted && !signbit(values[i]) == !signbit(wanted);
            if (!same)
                fail_msg("%s 0x%04x is %g, it should be %g", dtypes[d].name, i, (double)values[i], wanted);
        }
    }
}

/* Between each two neighbours of the dtype: what is nearer, and in the middle the even one. */
static void floats_are_rounded_to_the_nearest_ties_to_even(void **state)
{
    (void)state;
    static const enum weir_safetensors_dtype dtypes[] = {WEIR_SAFETENSORS_F16, WEIR_SAFETENSORS_BF16};
    for (int d = 0; d < 2; d++) {
        uint16_t infinite = d ? 0x7f80 : 0x7c00, sign = 0x8000, out[6];
        for (uint16_t low = 0; low < infinite; low++) {
            uint16_t high = (uint16_t)(low + 1), bits[] = {low, high};
            double ends[2];
            for (int i = 0; i < 2; i++) /* what comes after the largest would be, were there one */
                ends[i] = d ? ldexp((bits[i] & 0x7f) + (bits[i] >= 0x80 ? 128 : 0), (bits[i] >= 0x80 ? bits[i] >> 7 : 1) - 134)
                            : ldexp((bits[i] & 0x3ff) + (bits[i] >= 0x400 ? 1024 : 0), (bits[i] >= 0x400 ? bits[i] >> 10 : 1) - 25);
            double middle = (ends[0] + ends[1]) / 2;
            float values[6] = {(float)ends[0], (float)middle, nextafterf((float)middle, 0), nextafterf((float)middle, INFINITY)};
            values[4] = -(float)middle;
            values[5] = high == infinite ? INFINITY : (float)ends[1];
            assert_true((double)(float)middle == middle);
            weir_safetensors_round(dtypes[d], values, 6, out);
            uint16_t even = low & 1 ? high : low;
            const uint16_t wanted[6] = {low, even, low, high, (uint16_t)(even | sign), high};
            for (int i = 0; i < 6; i++)
                if (out[i] != wanted[i])
                    fail_msg("%a is 0x%04x as %s, not 0x%04x", (double)values[i], out[i],
                             weir_safetensors_dtype_str(dtypes[d]), wanted[i]);
        }
        const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, 3.4e38f, -0.0f};
        weir_safetensors_round(dtypes[d], odd, 6, out);
        assert_true((out[0] & 0x7fff) > infinite && (out[1] & 0x7fff) > infinite);
        assert_true(out[2] == infinite && out[3] == (infinite | sign) && out[4] == infinite && out[5] == sign);
    }
}

static void dtypes_that_are_no_weights_are_listed_but_not_read(void **state)
{
    (void)state;
    for (int d = 0; d < WEIR_SAFETENSORS_DTYPES; d++) {
        char header[256], bytes[MOST_BYTES], words[64];
        float value[4];
        const char *name = weir_safetensors_dtype_str((enum weir_safetensors_dtype)d);
        struct weir_safetensors file;
        int bits = strstr("F4", name) ? 4 : strstr("F6_E2M3 F6_E3M2", name) ? 6 : strstr("C64 F64 I64 U64", name) ? 64
                   : strstr("I32 U32 F32", name) ? 32 : strstr("I16 U16 F16 BF16", name) ? 16 : 8;
        snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[4],\"data_offsets\":[0,%d]}}", name, bits / 2);
        assert_ok(weir_safetensors_parse(bytes, bytes_make(header, (size_t)bits / 2, bytes), "f", &file));
        snprintf(words, sizeof words, "tensor 'a' is %s, weights are read from", name);
        bool read = !strcmp(name, "F32") || !strcmp(name, "F16") || !strcmp(name, "BF16");
        if (read) {
            assert_ok(weir_safetensors_floats(&file, &file.tensors[0], 0, 4, value));
            assert_fails(weir_safetensors_floats(&file, &file.tensors[0], 1, 4, value), WEIR_ERR_INVALID, "4 from 1 on");
        } else {
            assert_fails(weir_safetensors_floats(&file, &file.tensors[0], 0, 4, value), WEIR_ERR_UNSUPPORTED, words);
        }
        weir_safetensors_close(&file);
    }
}

static void a_file_that_is_cut_while_it_is_read_is_an_error_that_names_file_tensor_and_byte(void **state)
{
    (void)state;
    static char bytes[8 + 256 + 40000];
    float values[10000];
    struct weir_safetensors file;
    const char *path = testing_path("cut.safetensors");
    size_t n = bytes_make("{\"a\":{\"dtype\":\"F32\",\"shape\":[10000],\"data_offsets\":[0,40000]}}", 0, bytes);
    assert_ok(weir_file_write(path, bytes, n + 40000));
    assert_ok(weir_safetensors_open(path, &file));
    assert_ok(weir_safetensors_floats(&file, &file.tensors[0], 0, 10000, values));
    assert_int_equal(truncate(path, (off_t)n + 20000), 0);
    assert_ok(weir_safetensors_floats(&file, &file.tensors[0], 0, 5000, values));
    assert_fails(weir_safetensors_floats(&file, &file.tensors[0], 0, 10000, values), WEIR_ERR_IO,
                 "tensor 'a': '");
    assert_non_null(strstr(weir_last_error(), "cut.safetensors' was cut from 40"));
    assert_non_null(strstr(weir_last_error(), "20000 bytes at 20"));
    weir_safetensors_close(&file);
}

static void a_header_nested_without_end_is_refused(void **state)
{
    (void)state;
    enum { DEEP = 200000 };
    static char bytes[8 + DEEP + 8], header[DEEP + 8];
    struct weir_safetensors file;
    strcpy(header, "{\"a\":");
    memset(header + 5, '[', DEEP);
    assert_fails(weir_safetensors_parse(bytes, bytes_make(header, 0, bytes), "f", &file), WEIR_ERR_INVALID,
                 "maximum parsing depth reached");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_shows_its_tensors_by_name),
        cmocka_unit_test(odd_files_that_are_right_are_read),
        cmocka_unit_test(every_broken_rule_is_named),
        cmocka_unit_test(sizes_that_do_not_fit_the_file_are_named),
        cmocka_unit_test(a_file_that_is_cut_while_it_is_read_is_an_error_that_names_file_tensor_and_byte),
        cmocka_unit_test(a_header_nested_without_end_is_refused),
        cmocka_unit_test(every_value_of_sixteen_bits_is_read_exactly),
        cmocka_unit_test(floats_are_rounded_to_the_nearest_ties_to_even),
        cmocka_unit_test(dtypes_that_are_no_weights_are_listed_but_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
