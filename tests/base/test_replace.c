/* replace: files are whole or as they were, links and permissions stay, nothing is left behind.   labels: pure */
#include "tests/support/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/replace.h"
#include "base/text.h"

static void content_is(const char *path, const char *wanted)
{
    char *data;
    size_t bytes;
    assert_ok(weir_file_read(path, 1 << 20, &data, &bytes));
    assert_string_equal(data, wanted);
    weir_free(data);
}

static int entries(const char *folder)
{
    int n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2; /* . and .. */
}

/* A folder of its own. */
static const char *folder_make(const char *name)
{
    const char *path = testing_path(name);
    assert_int_equal(mkdir(path, 0777), 0);
    return path;
}

static void a_file_is_whole_or_as_it_was(void **state)
{
    (void)state;
    struct weir_replacement file;
    const char *folder = folder_make("whole"), *path = testing_path("whole/f");
    assert_ok(weir_file_write(path, "old", 3));
    assert_ok(weir_replace_open(path, NULL, &file));
    assert_int_equal(write(file.fd, "half", 4), 4);
    content_is(path, "old");
    weir_replace_abort(&file);
    content_is(path, "old");
    assert_ok(weir_replace_open(path, NULL, &file));
    assert_int_equal(write(file.fd, "new", 3), 3);
    assert_ok(weir_replace_commit(&file));
    content_is(path, "new");
    assert_int_equal(entries(folder), 1);
}

static void a_killed_process_leaves_nothing_behind(void **state)
{
    (void)state;
    struct weir_replacement file;
    const char *folder = folder_make("killed"), *path = testing_path("killed/f");
    assert_ok(weir_replace_open(path, NULL, &file));
    bool named = file.named;
    weir_replace_abort(&file);
    if (named) {
        print_message("skipped: no files without names in this file system\n");
        skip();
    }
    pid_t child = fork();
    if (!child) {
        weir_status status = weir_replace_open(path, NULL, &file);
        if (!status && write(file.fd, "half", 4) == 4)
            raise(SIGKILL);
        _exit(1);
    }
    int outcome;
    assert_int_equal(waitpid(child, &outcome, 0), child);
    assert_true(WIFSIGNALED(outcome));
    assert_int_equal(entries(folder), 0);
}

static void a_tag_gives_a_name_to_be_found_by(void **state)
{
    (void)state;
    struct weir_replacement file;
    char *name;
    const char *folder = folder_make("tagged"), *path = testing_path("tagged/f");
    assert_ok(weir_replace_name(path, "t", &name));
    assert_string_equal(name, testing_path("tagged/f.tmp.t"));
    assert_ok(weir_file_write(name, "of a process that was killed", 28));
    assert_ok(weir_replace_open(path, "t", &file));
    content_is(name, "");
    assert_ok(weir_replace_commit(&file));
    content_is(path, "");
    assert_int_equal(entries(folder), 1);
    weir_free(name);
}

static void links_stay_links(void **state)
{
    (void)state;
    struct stat info;
    const char *path = testing_path("links/a"), *target = testing_path("links/deep/c");
    folder_make("links");
    folder_make("links/deep");
    assert_ok(weir_file_write(target, "old", 3));
    assert_int_equal(symlink("deep/b", path), 0);
    assert_int_equal(symlink("c", testing_path("links/deep/b")), 0);
    assert_ok(weir_file_write(path, "new", 3));
    assert_int_equal(lstat(path, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(lstat(target, &info), 0);
    assert_true(S_ISREG(info.st_mode));
    content_is(target, "new");
    unlink(target); /* a link to a file that is still to come */
    assert_ok(weir_file_write(path, "again", 5));
    content_is(target, "again");
    unlink(target);
    assert_int_equal(symlink("../a", target), 0);
    assert_fails(weir_file_write(path, "", 0), WEIR_ERR_IO, "links/a': Too many levels of symbolic links");
}

static void permissions_stay(void **state)
{
    (void)state;
    struct stat info;
    const char *path = testing_path("permissions");
    mode_t old = umask(022);
    assert_ok(weir_file_write(path, "", 0));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0644);
    assert_int_equal(chmod(path, 0606), 0);
    assert_ok(weir_file_write(path, "new", 3));
    umask(old);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0606);
    content_is(path, "new");
}

/* Run as a user who may not do everything: root may. */
static bool as_nobody(void (*check)(void))
{
    pid_t child = fork();
    if (!child) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(77);
        check();
        _exit(0);
    }
    int outcome = 1;
    return waitpid(child, &outcome, 0) == child && WIFEXITED(outcome) && WEXITSTATUS(outcome) == 0;
}

static void foreign_check(void)
{
    bool kept = weir_replace_check(testing_path("open/foreign")) == WEIR_ERR_IO &&
                strstr(weir_last_error(), "open/foreign': Operation not permitted");
    bool refused = weir_replace_check(testing_path("open/readonly")) == WEIR_ERR_IO &&
                   strstr(weir_last_error(), "open/readonly': Permission denied");
    _exit(kept && refused ? 0 : 1);
}

static void what_commit_would_refuse_is_known_at_once(void **state)
{
    (void)state;
    const char *folder = folder_make("open");
    assert_fails(weir_replace_check(folder), WEIR_ERR_IO, "open': Is a directory");
    assert_fails(weir_replace_check(testing_path("none/f")), WEIR_ERR_IO, "none/f': No such file or directory");
    assert_ok(weir_replace_check(testing_path("open/f")));
    assert_ok(weir_replace_check("/dev/full"));
    assert_int_equal(entries(folder), 0);
    if (geteuid() != 0) {
        print_message("files of somebody else are made by root only\n");
        return;
    }
    assert_ok(weir_file_write(testing_path("open/foreign"), "", 0));
    assert_ok(weir_file_write(testing_path("open/readonly"), "", 0));
    assert_int_equal(chmod(testing_path("open/foreign"), 0666), 0);
    assert_int_equal(chmod(testing_path("open/readonly"), 0644), 0);
    assert_int_equal(chmod(folder, 01777), 0);
    assert_int_equal(chmod(testing_dir(), 0755), 0);
    assert_true(as_nobody(foreign_check));
}

static void a_full_disk_keeps_the_old_file(void **state)
{
    (void)state;
    struct rlimit old, small;
    const char *folder = folder_make("full"), *path = testing_path("full/f");
    static char data[4096];
    assert_ok(weir_file_write(path, "old", 3));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    small = old;
    small.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    weir_status status = weir_file_write(path, data, sizeof data);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, WEIR_ERR_IO);
    content_is(path, "old");
    assert_int_equal(entries(folder), 1);
    assert_fails(weir_file_write("/dev/full", "x", 1), WEIR_ERR_IO, "'/dev/full': No space left on device");
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    const char *folder = folder_make("memory"), *path = testing_path("memory/f");
    assert_int_equal(symlink("target", path), 0);
    weir_status status = WEIR_ERR_NOMEM;
    for (int budget = 0; status; budget++) {
        weir_alloc_set_budget(budget);
        status = weir_file_write(path, "x", 1);
        weir_alloc_set_budget(-1);
        assert_true(!status || status == WEIR_ERR_NOMEM);
        assert_int_equal(entries(folder), status ? 1 : 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_whole_or_as_it_was),
        cmocka_unit_test(a_killed_process_leaves_nothing_behind),
        cmocka_unit_test(a_tag_gives_a_name_to_be_found_by),
        cmocka_unit_test(links_stay_links),
        cmocka_unit_test(permissions_stay),
        cmocka_unit_test(what_commit_would_refuse_is_known_at_once),
        cmocka_unit_test(a_full_disk_keeps_the_old_file),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
