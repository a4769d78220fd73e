/* Input files: what is opened, what is refused by name, and that nothing waits.   labels: pure */
#include "tests/support/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/input_file.h"
#include "base/ranged_file.h"
#include "base/safetensors.h"
#include "base/replace.h"
#include "base/text.h"

static void a_regular_file_is_opened_at_its_first_byte(void **state)
{
    (void)state;
    const char *path = testing_path("plain");
    struct weir_input_file file;
    struct stat info;
    char bytes[8];
    assert_ok(weir_file_write(path, "hello", 5));
    assert_ok(weir_input_open(path, 5, &file));
    assert_int_equal(file.n_bytes, 5);
    assert_int_equal(read(file.descriptor, bytes, sizeof bytes), 5);
    assert_int_equal(stat(path, &info), 0);
    assert_true(file.device == (uint64_t)info.st_dev && file.inode == (uint64_t)info.st_ino);
    assert_true(fcntl(file.descriptor, F_GETFD) & FD_CLOEXEC);
    weir_input_close(&file);
    assert_fails(weir_input_open(path, 4, &file), WEIR_ERR_INVALID, "larger than the 4 bytes read at most");
}

static void socket_make(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    /* the name of a socket is short: bind it where it is to be */
    assert_int_equal(chdir(testing_dir()), 0);
    strcpy(name.sun_path, strrchr(path, '/') + 1);
    assert_int_equal(bind(made, (struct sockaddr *)&name, sizeof name), 0);
    close(made);
}

/* All three ways in: none of them waits for a writer or reads without end. */
static void refused(const char *path, const char *words)
{
    struct weir_input_file file;
    struct weir_ranged_file map;
    struct weir_safetensors tensors;
    char *data = NULL;
    size_t bytes;
    assert_fails(weir_input_open(path, WEIR_INPUT_ANY_SIZE, &file), WEIR_ERR_INVALID, words);
    assert_non_null(strstr(weir_last_error(), path));
    assert_fails(weir_file_read(path, 1 << 20, &data, &bytes), WEIR_ERR_INVALID, words);
    assert_null(data);
    assert_fails(weir_ranged_open(path, &map), WEIR_ERR_INVALID, words);
    assert_fails(weir_safetensors_open(path, &tensors), WEIR_ERR_INVALID, words);
}

static void what_is_not_a_regular_file_is_refused_by_name(void **state)
{
    (void)state;
    const char *pipe = testing_path("pipe"), *link = testing_path("link"), *socket = testing_path("socket");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(symlink(pipe, link), 0);
    socket_make(socket);
    refused(pipe, "is a pipe, not a regular file");
    refused(link, "is a pipe, not a regular file");
    refused(socket, "is a socket, not a regular file");
    refused("/dev/zero", "is a device, not a regular file");
    refused(testing_dir(), "is a directory, a file is needed");
    assert_true(weir_input_exists(pipe));
    assert_false(weir_input_exists(testing_path("none")));
}

static void what_process_substitution_names_is_refused_by_name(void **state)
{
    (void)state;
    int ends[2];
    char path[32];
    assert_int_equal(pipe(ends), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    refused(path, "is a pipe, not a regular file");
    close(ends[0]);
    close(ends[1]);
}

static void a_pointer_of_git_lfs_is_told_from_the_file(void **state)
{
    (void)state;
    static const char text[] = "version https://git-lfs.github.com/spec/v1\n"
                               "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    const char *path = testing_path("model.safetensors");
    assert_ok(weir_file_write(path, text, sizeof text - 1));
    refused(path, "is a pointer of git-lfs, not the file itself: fetch the file with 'git lfs pull'");
}

static void a_text_about_git_lfs_is_a_text(void **state)
{
    (void)state;
    char text[1200] = "version https://git-lfs.github.com/spec/v1 is how a pointer starts, and this one goes on";
    struct weir_input_file file;
    memset(text + strlen(text), ' ', sizeof text - strlen(text));
    assert_ok(weir_file_write(testing_path("about"), text, sizeof text));
    assert_ok(weir_input_open(testing_path("about"), WEIR_INPUT_ANY_SIZE, &file));
    weir_input_close(&file);
}

static void standard_input_may_be_a_pipe(void **state)
{
    (void)state;
    int ends[2], before = dup(STDIN_FILENO);
    char *data;
    size_t bytes;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "rows", 4), 4);
    close(ends[1]);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    weir_status status = weir_stdin_read(100, &data, &bytes);
    dup2(before, STDIN_FILENO);
    close(before);
    close(ends[0]);
    assert_ok(status);
    assert_int_equal(bytes, 4);
    assert_string_equal(data, "rows");
    weir_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_regular_file_is_opened_at_its_first_byte),
        cmocka_unit_test(what_is_not_a_regular_file_is_refused_by_name),
        cmocka_unit_test(what_process_substitution_names_is_refused_by_name),
        cmocka_unit_test(a_pointer_of_git_lfs_is_told_from_the_file),
        cmocka_unit_test(a_text_about_git_lfs_is_a_text),
        cmocka_unit_test(standard_input_may_be_a_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
