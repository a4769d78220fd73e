/* safetensors: every rule of the format, exact values, shards, and files that are whole or absent.   labels: pure */
#include "testing.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/tensor_files.h"
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
        {"", 0, "safetensors header: 'f' line 1"},
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
    assert_fails(weir_safetensors_open(testing_dir(), &file), WEIR_ERR_IO, "not a regular file");
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

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static const int64_t dims_2_3[] = {2, 3}, dims_5[] = {5};
static const struct weir_safetensors_decl decls[] = {{"z", WEIR_SAFETENSORS_U8, 1, dims_5},
                                                     {"b\"q", WEIR_SAFETENSORS_F32, 2, dims_2_3},
                                                     {"a", WEIR_SAFETENSORS_F32, 0, NULL},
                                                     {"h", WEIR_SAFETENSORS_F64, 1, dims_5}};
static const struct weir_safetensors_text metadata[] = {{"format", "pt"}, {"note", "a \"quoted\" word"}};

static struct weir_safetensors_spec spec_of(const char *path)
{
    return (struct weir_safetensors_spec){
        .path = path, .tag = "t", .n_tensors = 4, .n_metadata = 2, .tensors = decls, .metadata = metadata};
}

static const float six[] = {1, 2, 3, 4, 5, 6};

static void whole_write(const char *path)
{
    static const double five[] = {9, 8, 7, 6, 5};
    struct weir_safetensors_spec spec = spec_of(path);
    weir_safetensors_writer *writer;
    assert_ok(weir_safetensors_create(&spec, &writer));
    assert_ok(weir_safetensors_write(writer, 3, 0, five, sizeof five));
    assert_ok(weir_safetensors_write(writer, 0, 0, "\1\2\3\4\5", 5));
    assert_ok(weir_safetensors_write(writer, 1, 8, six + 2, 16));
    assert_ok(weir_safetensors_write(writer, 1, 0, six, 8));
    assert_ok(weir_safetensors_write(writer, 2, 0, six, 4));
    assert_int_not_equal(access(path, F_OK), 0);
    assert_ok(weir_safetensors_commit(writer));
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    const char *path = testing_path("whole");
    struct weir_safetensors file;
    float values[6];
    whole_write(path);
    assert_ok(weir_safetensors_open(path, &file));
    assert_int_equal((file.data - (const char *)file.map) % 64, 0);
    assert_int_equal(weir_safetensors_find(&file, "h")->begin, 0); /* the widest first, then by name */
    assert_int_equal(weir_safetensors_find(&file, "a")->begin, 40);
    assert_int_equal(weir_safetensors_find(&file, "b\"q")->begin, 44);
    assert_int_equal(weir_safetensors_find(&file, "z")->begin, 68);
    assert_ok(weir_safetensors_floats(&file, weir_safetensors_find(&file, "b\"q"), 0, 6, values));
    assert_memory_equal(values, six, sizeof six);
    assert_string_equal(weir_safetensors_metadata(&file, "note"), "a \"quoted\" word");
    weir_safetensors_close(&file);
    assert_int_not_equal(access(testing_path("whole.tmp.t"), F_OK), 0);
}

static void processes_write_their_parts_of_one_file(void **state)
{
    (void)state;
    const char *path = testing_path("shared");
    struct weir_safetensors_spec spec = spec_of(path);
    weir_safetensors_writer *writer, *joined;
    assert_ok(weir_safetensors_create(&spec, &writer));
    pid_t child = fork();
    if (child == 0) {
        bool good = !weir_safetensors_join(&spec, &joined) && !weir_safetensors_write(joined, 1, 12, six + 3, 12) &&
                    !weir_safetensors_leave(joined);
        _exit(good ? 0 : 1);
    }
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    assert_ok(weir_safetensors_write(writer, 1, 0, six, 12));
    assert_ok(weir_safetensors_commit(writer));
    struct weir_safetensors file;
    float values[6];
    assert_ok(weir_safetensors_open(path, &file));
    assert_ok(weir_safetensors_floats(&file, weir_safetensors_find(&file, "b\"q"), 0, 6, values));
    assert_memory_equal(values, six, sizeof six);
    weir_safetensors_close(&file);
    assert_fails(weir_safetensors_join(&spec, &joined), WEIR_ERR_IO, "shared.tmp.t");
}

static void bad_declarations_and_places_are_refused(void **state)
{
    (void)state;
    static const int64_t negative[] = {-1}, huge[] = {INT64_MAX / 8, 4}, three[] = {3};
    static const struct {
        struct weir_safetensors_decl decl[2];
        const char *words;
    } rows[] = {
        {{{"a", WEIR_SAFETENSORS_F32, 1, negative}, {"b", WEIR_SAFETENSORS_F32, 0, NULL}}, "tensor 'a'"},
        {{{"a", WEIR_SAFETENSORS_F32, 2, huge}, {"b", WEIR_SAFETENSORS_F32, 0, NULL}}, "tensor 'a'"},
        {{{"a", WEIR_SAFETENSORS_F4, 1, three}, {"b", WEIR_SAFETENSORS_F32, 0, NULL}}, "tensor 'a'"},
        {{{"a", WEIR_SAFETENSORS_F32, 1, three}, {"a", WEIR_SAFETENSORS_F32, 0, NULL}}, "tensor 'a' is declared twice"},
        {{{"a", WEIR_SAFETENSORS_F32, 1, three}, {"__metadata__", WEIR_SAFETENSORS_F32, 0, NULL}}, "'__metadata__'"},
        {{{"a", WEIR_SAFETENSORS_F32, 1, three}, {"\xff", WEIR_SAFETENSORS_F32, 0, NULL}}, "not UTF-8"},
    };
    weir_safetensors_writer *writer;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_safetensors_spec spec = {.path = testing_path("bad"), .n_tensors = 2, .tensors = rows[i].decl};
        assert_fails(weir_safetensors_create(&spec, &writer), WEIR_ERR_INVALID, rows[i].words);
    }
    struct weir_safetensors_spec spec = spec_of(testing_path("bad"));
    assert_ok(weir_safetensors_create(&spec, &writer));
    assert_fails(weir_safetensors_write(writer, 1, 20, six, 8), WEIR_ERR_INVALID, "beyond tensor 1");
    assert_fails(weir_safetensors_write(writer, 1, UINT64_MAX, six, 8), WEIR_ERR_INVALID, "beyond tensor 1");
    assert_fails(weir_safetensors_write(writer, 4, 0, six, 1), WEIR_ERR_INVALID, "beyond tensor 4");
    weir_safetensors_abort(writer);
    assert_int_not_equal(access(testing_path("bad.tmp.t"), F_OK), 0);
}

static void room_limit(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A full disk is played by a limit on the size of files. */
static void without_room_the_old_file_stays_and_nothing_else(void **state)
{
    (void)state;
    const char *path = testing_path("kept");
    struct weir_safetensors_spec spec = spec_of(path);
    weir_safetensors_writer *writer;
    struct stat before, after;
    signal(SIGXFSZ, SIG_IGN);
    whole_write(path);
    assert_int_equal(stat(path, &before), 0);
    room_limit(100);
    assert_fails(weir_safetensors_create(&spec, &writer), WEIR_ERR_IO, "kept': ");
    room_limit(RLIM_INFINITY);
    assert_int_not_equal(access(testing_path("kept.tmp.t"), F_OK), 0);
    assert_ok(weir_safetensors_create(&spec, &writer));
    room_limit(100);
    assert_fails(weir_safetensors_write(writer, 0, 0, "\1\2\3\4\5", 5), WEIR_ERR_IO, "kept': ");
    room_limit(RLIM_INFINITY);
    weir_safetensors_abort(writer);
    assert_int_not_equal(access(testing_path("kept.tmp.t"), F_OK), 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    spec.path = testing_path("no/folder");
    assert_fails(weir_safetensors_create(&spec, &writer), WEIR_ERR_IO, "No such file");
}

/* ---- shards -------------------------------------------------------------------------------------------------------- */

static void shard_write(const char *path, const char *name)
{
    const struct weir_safetensors_decl decl = {name, WEIR_SAFETENSORS_F32, 2, dims_2_3};
    struct weir_safetensors_spec spec = {.path = path, .n_tensors = 1, .tensors = &decl};
    weir_safetensors_writer *writer;
    assert_ok(weir_safetensors_create(&spec, &writer));
    assert_ok(weir_safetensors_write(writer, 0, 0, six, sizeof six));
    assert_ok(weir_safetensors_commit(writer));
}

static void text_write(const char *name, const char *text)
{
    assert_ok(weir_file_write(testing_path(name), text, strlen(text)));
}

static void shards_are_one_set_of_tensors(void **state)
{
    (void)state;
    struct weir_tensor_files files;
    const struct weir_safetensors *file;
    const struct weir_safetensors_tensor *tensor;
    mkdir(testing_path("sharded"), 0777);
    shard_write(testing_path("sharded/one.safetensors"), "a");
    shard_write(testing_path("sharded/two.safetensors"), "b");
    text_write("sharded/model.safetensors.index.json",
               "{\"metadata\":{},\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    assert_ok(weir_tensor_files_open(testing_path("sharded"), &files));
    assert_int_equal(files.n_files, 2);
    assert_true(weir_tensor_files_find(&files, "b", &file, &tensor));
    assert_non_null(strstr(file->path, "sharded/two.safetensors"));
    assert_false(weir_tensor_files_find(&files, "c", &file, &tensor));
    weir_tensor_files_close(&files);
    assert_ok(weir_tensor_files_open(testing_path("sharded/one.safetensors"), &files));
    assert_int_equal(files.n_files, 1);
    weir_tensor_files_close(&files);
}

static void an_index_that_does_not_fit_its_shards_is_refused(void **state)
{
    (void)state;
    static const struct {
        weir_status status;
        const char *index, *words;
    } rows[] = {
        {WEIR_ERR_INVALID, "{}", "no object 'weight_map'"},
        {WEIR_ERR_INVALID, "[]", "no object 'weight_map'"},
        {WEIR_ERR_INVALID, "{", "line 1"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":1}}", "the shard of tensor 'a' is not a string"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":\"../one.safetensors\"}}", "shard '../one.safetensors' is not a plain name"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "shard '/etc/passwd' is not a plain name"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":\"..\"}}", "is not a plain name"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":\"\"}}", "is not a plain name"},
        {WEIR_ERR_IO, "{\"weight_map\":{\"a\":\"none.safetensors\"}}", "none.safetensors': No such file"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"one.safetensors\"}}",
         "tensor 'b' is not in shard 'one.safetensors'"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"b\":\"two.safetensors\",\"a\":\"two.safetensors\"}}",
         "tensor 'a' is not in shard 'two.safetensors'"},
        {WEIR_ERR_INVALID, "{\"weight_map\":{\"a\":\"both.safetensors\"}}", "does not say that tensor 'b\"q'"},
    };
    struct weir_tensor_files files;
    mkdir(testing_path("odd"), 0777);
    shard_write(testing_path("odd/one.safetensors"), "a");
    shard_write(testing_path("odd/two.safetensors"), "b");
    whole_write(testing_path("odd/both.safetensors"));
    assert_fails(weir_tensor_files_open(testing_path("odd"), &files), WEIR_ERR_IO, "has no model.safetensors");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        text_write("odd/model.safetensors.index.json", rows[i].index);
        assert_fails(weir_tensor_files_open(testing_path("odd"), &files), rows[i].status, rows[i].words);
    }
}

/* Raise the number of allocations that succeed until all do; every failure is one of memory and leaks nothing. */
static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    const char *path = testing_path("budget");
    struct weir_safetensors_spec spec = spec_of(path);
    weir_status status = WEIR_ERR_NOMEM;
    whole_write(path);
    for (int budget = 0; status; budget++) {
        struct weir_tensor_files files;
        weir_alloc_set_budget(budget);
        status = weir_tensor_files_open(path, &files);
        assert_true(!status || status == WEIR_ERR_NOMEM);
        if (!status)
            weir_tensor_files_close(&files);
    }
    status = WEIR_ERR_NOMEM;
    for (int budget = 0; status; budget++) {
        weir_safetensors_writer *writer;
        weir_alloc_set_budget(budget);
        status = weir_safetensors_create(&spec, &writer);
        assert_true(!status || status == WEIR_ERR_NOMEM);
        if (!status)
            weir_safetensors_abort(writer);
    }
    weir_alloc_set_budget(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_shows_its_tensors_by_name),
        cmocka_unit_test(odd_files_that_are_right_are_read),
        cmocka_unit_test(every_broken_rule_is_named),
        cmocka_unit_test(sizes_that_do_not_fit_the_file_are_named),
        cmocka_unit_test(every_value_of_sixteen_bits_is_read_exactly),
        cmocka_unit_test(dtypes_that_are_no_weights_are_listed_but_not_read),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(processes_write_their_parts_of_one_file),
        cmocka_unit_test(bad_declarations_and_places_are_refused),
        cmocka_unit_test(without_room_the_old_file_stays_and_nothing_else),
        cmocka_unit_test(shards_are_one_set_of_tensors),
        cmocka_unit_test(an_index_that_does_not_fit_its_shards_is_refused),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
