/* data sources: text and IDX, the sample sequence, damaged files.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/replace.h"
#include "base/text.h"
#include "include/weir/data.h"

static const char *text_file(const char *name, int bytes)
{
    static unsigned char text[5000];
    for (int i = 0; i < bytes; i++)
        text[i] = (unsigned char)(i * 7 + i / 256);
    assert_ok(weir_file_write(testing_path(name), text, (size_t)bytes));
    return testing_path(name);
}

/* ---- text ---------------------------------------------------------------------------------------------------------- */

static void targets_are_inputs_shifted_by_one(void **state)
{
    (void)state;
    weir_data *data;
    int32_t inputs[3 * 8], targets[3 * 8];
    assert_ok(weir_data_open_text(text_file("shift.txt", 1000), 8, 5, &data));
    assert_ok(weir_data_read(data, 100, 3, inputs, targets));
    for (int s = 0; s < 3; s++)
        for (int i = 0; i < 8; i++) {
            int at = (int)weir_data_sample(data, 100 + s) * 8 + i;
            assert_int_equal(inputs[s * 8 + i], (at * 7 + at / 256) & 255);
            assert_int_equal(targets[s * 8 + i], ((at + 1) * 7 + (at + 1) / 256) & 255);
        }
    weir_data_close(data);
}

static void an_epoch_visits_every_sample_once(void **state)
{
    (void)state;
    for (int bytes = 3; bytes < 3000; bytes = bytes * 3 / 2 + 1) {
        weir_data *data;
        assert_ok(weir_data_open_text(text_file("epoch.txt", bytes), 2, 1, &data));
        int64_t n = weir_data_info(data)->n_samples;
        assert_int_equal(n, (bytes - 1) / 2);
        for (int epoch = 0; epoch < 3; epoch++) {
            bool *seen = calloc((size_t)n, 1);
            for (int64_t i = 0; i < n; i++) {
                int64_t sample = weir_data_sample(data, epoch * n + i);
                assert_true(sample >= 0 && sample < n && !seen[sample]);
                seen[sample] = true;
            }
            free(seen);
        }
        weir_data_close(data);
    }
}

static int orders_equal(uint64_t seed_a, int64_t first_a, uint64_t seed_b, int64_t first_b)
{
    weir_data *a, *b;
    int n = 0;
    assert_ok(weir_data_open_text(text_file("order.txt", 4001), 4, seed_a, &a));
    assert_ok(weir_data_open_text(testing_path("order.txt"), 4, seed_b, &b));
    for (int i = 0; i < 1000; i++)
        n += weir_data_sample(a, first_a + i) == weir_data_sample(b, first_b + i);
    weir_data_close(a);
    weir_data_close(b);
    return n;
}

static void the_order_depends_on_seed_and_epoch_only(void **state)
{
    (void)state;
    assert_int_equal(orders_equal(1, 0, 1, 0), 1000);
    assert_true(orders_equal(1, 0, 2, 0) < 20);
    assert_true(orders_equal(1, 0, 1, 1000) < 20);
    assert_true(orders_equal(1, 0, 1, 1000ll << 32) < 20); /* epochs beyond 32 bits differ too */
}

/* Samples spread evenly: the first tenth of an epoch has about a tenth of its samples from each tenth of the file. */
static void an_epoch_is_shuffled(void **state)
{
    (void)state;
    weir_data *data;
    int counts[10] = {0};
    assert_ok(weir_data_open_text(text_file("spread.txt", 4001), 1, 3, &data));
    for (int i = 0; i < 400; i++)
        counts[weir_data_sample(data, i) / 400]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(counts[i], 20, 60);
    weir_data_close(data);
}

static void reading_in_pieces_is_reading_at_once(void **state)
{
    (void)state;
    weir_data *data;
    int32_t whole[2][20 * 8], pieces[2][20 * 8];
    assert_ok(weir_data_open_text(text_file("pieces.txt", 100), 8, 5, &data)); /* 12 samples: crosses an epoch */
    assert_ok(weir_data_read(data, 3, 20, whole[0], whole[1]));
    uint64_t before = weir_alloc_count();
    for (int i = 0; i < 20; i += 4)
        assert_ok(weir_data_read(data, 3 + i, 4, pieces[0] + i * 8, pieces[1] + i * 8));
    assert_int_equal(weir_alloc_count(), before);
    assert_memory_equal(whole, pieces, sizeof whole);
    assert_fails(weir_data_read(data, -1, 1, whole[0], whole[1]), WEIR_ERR_INVALID, "number -1");
    assert_fails(weir_data_read(data, INT64_MAX, 1, whole[0], whole[1]), WEIR_ERR_INVALID, "cannot read 1 samples");
    weir_data_close(data);
}

static void a_text_that_cannot_be_used_says_why(void **state)
{
    (void)state;
    weir_data *data = NULL;
    assert_fails(weir_data_open_text(testing_path("none.txt"), 8, 1, &data), WEIR_ERR_IO, "No such file");
    assert_fails(weir_data_open_text(testing_dir(), 8, 1, &data), WEIR_ERR_INVALID, "is a directory");
    assert_fails(weir_data_open_text(text_file("short.txt", 12), 64, 1, &data), WEIR_ERR_INVALID,
                 "short.txt' has 12 bytes, sequence length 64 needs at least 65");
    assert_fails(weir_data_open_text(text_file("short.txt", 0), 64, 1, &data), WEIR_ERR_INVALID, "has 0 bytes");
    assert_fails(weir_data_open_text(text_file("short.txt", 64), 64, 1, &data), WEIR_ERR_INVALID, "at least 65");
    assert_fails(weir_data_open_text(testing_path("short.txt"), 0, 1, &data), WEIR_ERR_INVALID, "sequence length is 0");
    assert_fails(weir_data_open_text("/dev/null", 8, 1, &data), WEIR_ERR_INVALID, "not a regular file");
    weir_alloc_set_budget(0);
    assert_fails(weir_data_open_text(testing_path("short.txt"), 8, 1, &data), WEIR_ERR_NOMEM, "out of memory");
    weir_alloc_set_budget(-1);
    assert_null(data);
    assert_ok(weir_data_open_text(text_file("short.txt", 65), 64, 1, &data));
    assert_int_equal(weir_data_info(data)->n_samples, 1);
    weir_data_close(data);
    weir_data_close(NULL);
}

/* ---- IDX ----------------------------------------------------------------------------------------------------------- */

enum { N_IMAGES = 5, ROWS = 3, COLUMNS = 2, IMAGE_FILE = 16 + N_IMAGES * ROWS * COLUMNS, LABEL_FILE = 8 + N_IMAGES };

static const unsigned char image_header[16] = {0, 0, 8, 3, 0, 0, 0, N_IMAGES, 0, 0, 0, ROWS, 0, 0, 0, COLUMNS};
static const unsigned char label_header[8] = {0, 0, 8, 1, 0, 0, 0, N_IMAGES};

static void images_make(unsigned char file[IMAGE_FILE])
{
    memcpy(file, image_header, 16);
    for (int i = 16; i < IMAGE_FILE; i++)
        file[i] = (unsigned char)(i * 5);
}

static void labels_make(unsigned char file[LABEL_FILE])
{
    memcpy(file, label_header, 8);
    for (int i = 8; i < LABEL_FILE; i++)
        file[i] = (unsigned char)(i - 8);
}

/* An empty directory of the test's own. */
static void folder_make(const char *name)
{
    assert_int_equal(mkdir(testing_path(name), 0700), 0);
}

static void file_make(const char *folder, const char *name, const void *bytes, size_t n)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    size_t length = strlen(name);
    if (length < 3 || strcmp(name + length - 3, ".gz") != 0) {
        assert_ok(weir_file_write(testing_path(path), bytes, n));
        return;
    }
    gzFile file = gzopen(testing_path(path), "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)n), n);
    assert_int_equal(gzclose(file), Z_OK);
}

static void pair_make(const char *folder, const char *images_name, const char *labels_name)
{
    unsigned char images[IMAGE_FILE], labels[LABEL_FILE];
    images_make(images);
    labels_make(labels);
    folder_make(folder);
    file_make(folder, images_name, images, sizeof images);
    file_make(folder, labels_name, labels, sizeof labels);
}

static void idx_check(const char *folder)
{
    weir_data *data;
    float inputs[2 * N_IMAGES * ROWS * COLUMNS];
    int32_t targets[2 * N_IMAGES];
    assert_ok(weir_data_open_idx(testing_path(folder), 9, &data));
    const struct weir_data_info *info = weir_data_info(data);
    assert_string_equal(info->kind, "idx");
    assert_int_equal(info->n_samples, N_IMAGES);
    assert_int_equal(info->n_classes, N_IMAGES);
    assert_int_equal(info->input.n_dims, 2);
    assert_int_equal(info->input.dims[0], ROWS);
    assert_int_equal(info->input.dims[1], COLUMNS);
    assert_int_equal(weir_shape_elements(&info->target), 1);
    assert_ok(weir_data_read(data, 0, 2 * N_IMAGES, inputs, targets));
    for (int s = 0; s < 2 * N_IMAGES; s++) {
        assert_int_equal(targets[s], weir_data_sample(data, s));
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            unsigned char pixel = (unsigned char)((16 + targets[s] * ROWS * COLUMNS + i) * 5);
            assert_true(inputs[s * ROWS * COLUMNS + i] == (float)pixel / 255.0f);
        }
    }
    weir_data_close(data);
}

static void images_and_labels_are_found_by_content(void **state)
{
    (void)state;
    pair_make("plain", "a", "b");
    file_make("plain", "readme.txt", "hello\n", 6);
    file_make("plain", "empty", "", 0);
    file_make("plain", "other.gz", "hello\n", 6);
    idx_check("plain");
    pair_make("zipped", "images.gz", "labels.gz");
    idx_check("zipped");
}

static void a_directory_must_hold_one_of_each(void **state)
{
    (void)state;
    weir_data *data = NULL;
    unsigned char labels[LABEL_FILE];
    labels_make(labels);
    assert_fails(weir_data_open_idx(testing_path("nowhere"), 1, &data), WEIR_ERR_IO, "No such file");
    assert_fails(weir_data_open_idx(text_file("file", 5), 1, &data), WEIR_ERR_INVALID, "must be a directory");
    folder_make("bare");
    assert_fails(weir_data_open_idx(testing_path("bare"), 1, &data), WEIR_ERR_INVALID, "holds no IDX image file");
    pair_make("twice", "a", "b");
    file_make("twice", "c.gz", labels, sizeof labels);
    assert_fails(weir_data_open_idx(testing_path("twice"), 1, &data), WEIR_ERR_INVALID, "are both IDX label files");
    assert_int_equal(unlink(testing_path("twice/b")), 0);
    assert_int_equal(unlink(testing_path("twice/c.gz")), 0);
    assert_fails(weir_data_open_idx(testing_path("twice"), 1, &data), WEIR_ERR_INVALID, "holds no IDX label file");
    labels[7] = N_IMAGES - 1;
    file_make("twice", "b", labels, sizeof labels - 1);
    assert_fails(weir_data_open_idx(testing_path("twice"), 1, &data), WEIR_ERR_INVALID, "twice/b' 4 labels, there must be as many of each");
    assert_null(data);
}

/* The number of samples of the set that is opened; -1: there is none. */
static int64_t set_samples(const char *folder, bool test)
{
    weir_data *data = NULL;
    assert_ok(test ? weir_data_open_idx_test(testing_path(folder), 1, &data) : weir_data_open_idx(testing_path(folder), 1, &data));
    int64_t n = data ? weir_data_info(data)->n_samples : -1;
    weir_data_close(data);
    return n;
}

/* The first `n` images and labels. */
static void set_make(const char *folder, const char *images_name, const char *labels_name, int n)
{
    unsigned char images[IMAGE_FILE], labels[LABEL_FILE];
    images_make(images);
    labels_make(labels);
    images[7] = labels[7] = (unsigned char)n;
    file_make(folder, images_name, images, 16 + (size_t)n * ROWS * COLUMNS);
    file_make(folder, labels_name, labels, 8 + (size_t)n);
}

static void the_four_files_of_mnist_are_a_training_and_a_test_set(void **state)
{
    (void)state;
    static const char *const names[][4] = {
        {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
        {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte"},
        {"train-images.idx3-ubyte", "train-labels.idx1-ubyte", "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"},
        {"emnist-letters-train-images-idx3-ubyte", "emnist-letters-train-labels-idx1-ubyte",
         "emnist-letters-test-images-idx3-ubyte.gz", "emnist-letters-test-labels-idx1-ubyte.gz"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char folder[] = "four0";
        folder[4] = (char)('0' + i);
        folder_make(folder);
        set_make(folder, names[i][0], names[i][1], 4);
        assert_int_equal(set_samples(folder, false), 4);
        assert_int_equal(set_samples(folder, true), -1);
        set_make(folder, names[i][2], names[i][3], 3);
        assert_int_equal(set_samples(folder, false), 4);
        assert_int_equal(set_samples(folder, true), 3);
    }
    set_make("four0", "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", 2); /* the plain ones are taken */
    assert_int_equal(set_samples("four0", false), 4);
    folder_make("tests");
    set_make("tests", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", 3); /* alone it is what there is */
    assert_int_equal(set_samples("tests", false), 3);
    assert_int_equal(set_samples("tests", true), -1);
}

static void damaged_and_foreign_files_beside_the_right_ones_are_passed_over(void **state)
{
    (void)state;
    unsigned char images[IMAGE_FILE];
    images_make(images);
    static const char cut_gzip[] = "\x1f\x8b\x08\x00\x00";
    folder_make("company");
    set_make("company", "train-images-idx3-ubyte", "train-labels-idx1-ubyte", 4);
    file_make("company", "train-images-idx3-ubyte.bak", images, 20);
    file_make("company", "broken", cut_gzip, sizeof cut_gzip - 1);
    file_make("company", "mnist.zip", "PK\3\4", 4);
    assert_int_equal(set_samples("company", false), 4);
    assert_int_equal(set_samples("company", true), -1);
    pair_make("any names", "a", "b");
    file_make("any names", "c", images, 20); /* cut short */
    file_make("any names", "d", cut_gzip, sizeof cut_gzip - 1);
    assert_int_equal(set_samples("any names", false), N_IMAGES);
}

static void several_sets_of_which_none_is_the_right_one_are_refused(void **state)
{
    (void)state;
    weir_data *data = NULL;
    folder_make("several");
    set_make("several", "a-images", "a-labels", 4);
    set_make("several", "b-images", "b-labels", 3);
    assert_fails(weir_data_open_idx(testing_path("several"), 1, &data), WEIR_ERR_INVALID, "has 2 sets of images and labels, none of them called train");
    set_make("several", "train-images", "train-labels", 2);
    assert_int_equal(set_samples("several", false), 2);
    set_make("several", "train2-images", "train2-labels", 2);
    assert_fails(weir_data_open_idx(testing_path("several"), 1, &data), WEIR_ERR_INVALID, "has several training sets");
    set_make("several", "test-images", "test-labels", 2);
    set_make("several", "t10k-images", "t10k-labels", 2);
    assert_fails(weir_data_open_idx_test(testing_path("several"), 1, &data), WEIR_ERR_INVALID, "has several test sets");
}

static void a_damaged_file_names_the_byte(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int at;             /* byte of the image file to change, -1: none */
        unsigned char to;
        int bytes;          /* of the file */
        const char *words;
    } rows[] = {
        {"header cut", -1, 0, 10, "ends at byte 10, within its header, which needs 6 more"},
        {"pixels cut", -1, 0, IMAGE_FILE - 2, "ends at byte 44, within its elements, which needs 2 more"},
        {"header only", -1, 0, 16, "ask for more than the file can hold"},
        {"one byte more", 7, N_IMAGES - 1, IMAGE_FILE - ROWS * COLUMNS + 1, "goes on after byte 40"},
        {"no images", 7, 0, IMAGE_FILE, "dimension 0 at byte 4 is 0"},
        {"no columns", 15, 0, IMAGE_FILE, "dimension 2 at byte 12 is 0"},
        {"very many images", 4, 255, IMAGE_FILE, "up to the one at byte 4 ask for more"},
        {"very many rows", 8, 255, IMAGE_FILE, "up to the one at byte 8 ask for more"},
        {"pixels of two bytes", 2, 11, IMAGE_FILE, "holds no IDX image file"},
    };
    pair_make("damaged", "a", "b");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned char images[IMAGE_FILE];
        weir_data *data = NULL;
        images_make(images);
        if (rows[i].at >= 0)
            images[rows[i].at] = rows[i].to;
        file_make("damaged", "a", images, (size_t)rows[i].bytes);
        print_message("%s\n", rows[i].name);
        assert_fails(weir_data_open_idx(testing_path("damaged"), 1, &data), WEIR_ERR_INVALID, rows[i].words);
        assert_null(data);
    }
}

/* Every prefix of a gzip file, and every single flipped byte of its data, is refused or reads as what was written. */
static void a_damaged_gzip_file_is_refused(void **state)
{
    (void)state;
    char *bytes;
    size_t n;
    int n_harmless = 0;
    weir_data *data = NULL;
    pair_make("gzip", "a.gz", "b");
    assert_ok(weir_file_read(testing_path("gzip/a.gz"), 10000, &bytes, &n));
    for (size_t cut = 0; cut < n; cut++) {
        assert_ok(weir_file_write(testing_path("gzip/a.gz"), bytes, cut));
        if (weir_data_open_idx(testing_path("gzip"), 1, &data) != WEIR_ERR_INVALID)
            fail_msg("%zu: %s", cut, weir_last_error());
    }
    assert_fails(weir_data_open_idx(testing_path("gzip"), 1, &data), WEIR_ERR_INVALID, "the gzip data ends early");
    for (size_t at = 10; at < n; at++) {
        bytes[at] = (char)(bytes[at] ^ 0x10);
        assert_ok(weir_file_write(testing_path("gzip/a.gz"), bytes, n));
        weir_status status = weir_data_open_idx(testing_path("gzip"), 1, &data);
        if (!status) { /* the last byte of the deflated data has bits that mean nothing */
            weir_data_close(data);
            idx_check("gzip");
            n_harmless++;
        } else if (status != WEIR_ERR_INVALID || !strstr(weir_last_error(), "a.gz' is damaged at byte")) {
            fail_msg("byte %zu changed: %s", at, weir_last_error());
        }
        bytes[at] = (char)(bytes[at] ^ 0x10);
    }
    assert_true(n_harmless <= 1);
    weir_free(bytes);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    pair_make("budget", "a.gz", "b.gz");
    weir_status status = WEIR_ERR_NOMEM;
    for (int budget = 0; status; budget++) {
        weir_data *data = NULL;
        weir_alloc_set_budget(budget);
        status = weir_data_open_idx(testing_path("budget"), 1, &data);
        weir_alloc_set_budget(-1);
        assert_true(status == WEIR_OK || status == WEIR_ERR_NOMEM);
        weir_data_close(data);
    }
}

/* ---- real data ----------------------------------------------------------------------------------------------------- */

static void mnist_opens(void **state)
{
    (void)state;
    const char *path = testing_data_path("data/mnist");
    if (!path)
        skip();
    weir_data *data;
    float image[28 * 28];
    int32_t label, counts[10] = {0};
    assert_ok(weir_data_open_idx(path, 1, &data));
    assert_int_equal(weir_data_info(data)->n_samples, 10000);
    assert_int_equal(weir_data_info(data)->n_classes, 10);
    for (int i = 0; i < 10000; i++) {
        assert_ok(weir_data_read(data, i, 1, image, &label));
        counts[label]++;
    }
    static const int known[10] = {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}; /* of the test set */
    for (int i = 0; i < 10; i++)
        assert_int_equal(counts[i], known[i]);
    weir_data_close(data);
}

static void shakespeare_opens(void **state)
{
    (void)state;
    const char *path = testing_data_path("data/tinyshakespeare.txt");
    if (!path)
        skip();
    weir_data *data;
    assert_ok(weir_data_open_text(path, 64, 1, &data));
    int64_t n = weir_data_info(data)->n_samples;
    assert_int_equal(n, (1115394 - 1) / 64);
    int32_t inputs[64], targets[64];
    for (int64_t i = 0; i < n; i++) {
        assert_ok(weir_data_read(data, i, 1, inputs, targets));
        for (int k = 0; k < 64; k++)
            assert_true(inputs[k] == '\n' || (inputs[k] >= ' ' && inputs[k] <= 'z'));
        assert_memory_equal(inputs + 1, targets, 63 * sizeof *inputs);
    }
    weir_data_close(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_inputs_shifted_by_one),
        cmocka_unit_test(an_epoch_visits_every_sample_once),
        cmocka_unit_test(the_order_depends_on_seed_and_epoch_only),
        cmocka_unit_test(an_epoch_is_shuffled),
        cmocka_unit_test(reading_in_pieces_is_reading_at_once),
        cmocka_unit_test(a_text_that_cannot_be_used_says_why),
        cmocka_unit_test(images_and_labels_are_found_by_content),
        cmocka_unit_test(a_directory_must_hold_one_of_each),
        cmocka_unit_test(the_four_files_of_mnist_are_a_training_and_a_test_set),
        cmocka_unit_test(damaged_and_foreign_files_beside_the_right_ones_are_passed_over),
        cmocka_unit_test(several_sets_of_which_none_is_the_right_one_are_refused),
        cmocka_unit_test(a_damaged_file_names_the_byte),
        cmocka_unit_test(a_damaged_gzip_file_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(mnist_opens),
        cmocka_unit_test(shakespeare_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
